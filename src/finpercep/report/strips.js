// SPDX-License-Identifier: Apache-2.0
// Strips of pictures: side by side with one magnifier for all of them, or two of them under a slider.

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/** A picture with its map on top; `widest` is the pixel width of the strip's largest picture. */
function picture(image, widest, alt, report) {
  const img = el('img', {src: image.src, alt, draggable: 'false', decoding: 'async', class: image.width * 2 <= widest ? 'small' : null});
  const canvas = image.map ? mapCanvas(image.map, report) : null;
  const box = el('div', {class: 'pic', style: `aspect-ratio: ${image.width} / ${image.height}`}, img, canvas);
  return {box, img, canvas, image};
}

function percent(share) { return `${(share * 100).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`; }

function drawStrip(strip) {
  const widest = Math.max(...strip.images.map(image => image.width));
  const alt = image => [strip.name, image.label, image.caption].filter(Boolean).join(', ');
  const pictures = [];
  const row = el('div', {class: 'row'}, ...strip.images.map(image => {
    const stats = image.map ? el('div', {class: 'stats'}) : null;
    const shown = picture(image, widest, alt(image), share => {
      const {max, mean} = image.map;
      stats.textContent = `map max ${max.toFixed(2)}, mean ${mean.toFixed(2)}, ${percent(share)} ≥ ${mapState.threshold.toFixed(2)}`;
    });
    pictures.push(shown);
    const size = el('span', {class: 'size'}, `${image.width} × ${image.height}`);
    return el('figure', {}, shown.box, el('figcaption', {}, size, el('b', {}, image.label),
      image.caption ? el('div', {}, image.caption) : null, stats));
  }));
  addMagnifier(pictures, widest);
  const title = el('h3', {}, strip.name);
  if (strip.images.length < 2) return el('article', {class: 'strip'}, el('header', {}, title), row);
  let compare = null;
  const view = choice('View', [['row', 'side by side'], ['slider', 'slider']], 'row', mode => {
    if (mode === 'slider' && !compare) article.append(compare = drawCompare(strip, widest, alt));
    row.hidden = mode === 'slider';
    if (compare) compare.hidden = mode !== 'slider';
  });
  const article = el('article', {class: 'strip'}, el('header', {}, title, view), row);
  return article;
}

/** Pointing at one picture opens a lens at the same place of all of them: a tap on a touch screen, Enter and arrows on a keyboard. */
function addMagnifier(pictures, widest) {
  let at = null;
  const close = () => { at = null; pictures.forEach(({lens}) => { if (lens) lens.hidden = true; }); };
  const open = (u, v) => {
    if (!mapState.zoom) return;
    at = [clamp(u, 0, 1), clamp(v, 0, 1)];
    pictures.forEach(shown => drawLens(shown, ...at, widest));
  };
  const place = (event, box) => {
    const area = box.getBoundingClientRect();
    return [(event.clientX - area.left) / area.width, (event.clientY - area.top) / area.height];
  };
  for (const {box, image} of pictures) {
    let touch = false;
    box.tabIndex = 0;
    box.setAttribute('role', 'group');
    box.setAttribute('aria-label', `${image.label}: Enter magnifies, arrow keys move, Escape closes`);
    box.addEventListener('pointerdown', event => { touch = event.pointerType !== 'mouse'; });
    box.addEventListener('pointermove', event => { if (event.pointerType === 'mouse') open(...place(event, box)); });
    box.addEventListener('pointerleave', event => { if (event.pointerType === 'mouse') close(); });
    box.addEventListener('click', event => {
      if (!touch) return;
      const [u, v] = place(event, box);
      if (at && Math.hypot(at[0] - u, at[1] - v) < 0.12) close();
      else open(u, v);
    });
    box.addEventListener('keydown', event => {
      const move = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[event.key];
      if (event.key === 'Escape') close();
      else if (event.key === 'Enter') at ? close() : open(0.5, 0.5);
      else if (move && at) open(at[0] + move[0] * 0.03, at[1] + move[1] * 0.03);
      else return;
      event.preventDefault();
    });
    box.addEventListener('blur', close);
  }
  lensClosers.push(close);
}

function drawLens(shown, u, v, widest) {
  const {box, img, canvas} = shown, width = box.clientWidth, height = box.clientHeight;
  if (!width || !img.naturalWidth) return;
  const side = Math.round(Math.min(280, 0.8 * Math.min(width, height)));
  if (!shown.lens) box.append(shown.lens = el('canvas', {class: 'lens', 'aria-hidden': 'true'}));
  const lens = shown.lens, dense = Math.ceil(devicePixelRatio || 1), pixels = side * dense;
  if (lens.width !== pixels) { lens.width = lens.height = pixels; lens.style.width = lens.style.height = `${side}px`; }
  lens.hidden = false;
  lens.style.left = `${clamp(u * width - side / 2, 2, width - side - 2)}px`;
  lens.style.top = `${clamp(v * height - side / 2, 2, height - side - 2)}px`;
  // One pixel of the strip's largest picture is `zoom` CSS pixels wide; smaller pictures show the same part of the scene.
  const w = Math.min(1, side / (mapState.zoom * widest)), h = Math.min(1, w * shown.image.width / shown.image.height);
  const x = clamp(u - w / 2, 0, 1 - w), y = clamp(v - h / 2, 0, 1 - h);
  const context = lens.getContext('2d');
  const part = source => {
    const [sw, sh] = [source.naturalWidth || source.width, source.naturalHeight || source.height];
    context.drawImage(source, x * sw, y * sh, w * sw, h * sh, 0, 0, pixels, pixels);
  };
  context.imageSmoothingEnabled = false;  // pixels are what one wants to see here
  part(img);
  if (canvas && mapState.mode === 'map') {  // an overlay would hide what the lens is opened for
    context.imageSmoothingEnabled = true;
    part(canvas);
  }
}

/** Two pictures on top of each other, parted by a handle. */
function drawCompare(strip, widest, alt) {
  const images = strip.images, find = word => images.findIndex(image => image.label.toLowerCase() === word);
  let [a, b] = [find('before'), find('after')];
  if (a < 0 || b < 0) [a, b] = images.length > 2 ? [images.length - 3, images.length - 2] : [0, 1];
  if (a === b) a = (b + 1) % images.length;
  let position = 50, timer = 0;
  const layers = images.map(image => picture(image, widest, alt(image)));
  const tags = [el('span', {class: 'tag', style: 'left: .7rem'}), el('span', {class: 'tag', style: 'right: .7rem'})];
  const handle = el('div', {class: 'handle', role: 'slider', tabindex: '0', 'aria-valuemin': 0, 'aria-valuemax': 100,
    'aria-label': 'share of the left picture'});
  const largest = images.find(image => image.width === widest);
  const ratio = largest.width / largest.height;
  const stage = el('div', {class: 'stage', style: `aspect-ratio: ${ratio}; max-width: min(100%, calc(76vh * ${ratio}))`},
    ...layers.map(layer => layer.box), ...tags, handle);

  function update() {
    layers.forEach((layer, i) => {
      layer.box.hidden = i !== a && i !== b;
      layer.box.style.zIndex = i === a ? 1 : 0;
      layer.box.style.clipPath = i === a ? `inset(0 ${100 - position}% 0 0)` : 'none';
    });
    [tags[0].style.zIndex, tags[1].style.zIndex, handle.style.zIndex] = [2, 2, 3];
    tags[0].textContent = images[a].label;
    tags[1].textContent = images[b].label;
    tags[0].hidden = position < 8;
    tags[1].hidden = position > 92;
    handle.style.left = `${position}%`;
    handle.setAttribute('aria-valuenow', Math.round(position));
    const share = Math.round(position);
    handle.setAttribute('aria-valuetext', `${share} % ${images[a].label}, ${100 - share} % ${images[b].label}`);
  }
  function move(to) { position = clamp(to, 0, 100); update(); }
  const follow = event => { const area = stage.getBoundingClientRect(); move((event.clientX - area.left) / area.width * 100); };
  stage.addEventListener('pointerdown', event => {
    stopBlinking();
    stage.setPointerCapture(event.pointerId);
    follow(event);
    handle.focus({preventScroll: true});
    event.preventDefault();
  });
  stage.addEventListener('pointermove', event => { if (stage.hasPointerCapture(event.pointerId)) follow(event); });
  handle.addEventListener('keydown', event => {
    const step = event.shiftKey ? 10 : 2;
    const to = {ArrowLeft: position - step, ArrowDown: position - step, ArrowRight: position + step, ArrowUp: position + step,
      PageDown: position - 20, PageUp: position + 20, Home: 0, End: 100}[event.key];
    if (to === undefined) return;
    event.preventDefault();
    stopBlinking();
    move(to);
  });

  // Blinking shows small differences that a moving edge hides.
  const toggle = () => timer ? stopBlinking() : startBlinking();
  const blink = el('button', {type: 'button', class: 'plain', 'aria-pressed': 'false', click: toggle}, 'Blink');
  function startBlinking() {
    blink.setAttribute('aria-pressed', 'true');
    handle.hidden = true;
    timer = setInterval(() => move(position > 50 ? 0 : 100), 700);
    move(100);
  }
  function stopBlinking() {
    if (!timer) return;
    clearInterval(timer);
    timer = 0;
    blink.setAttribute('aria-pressed', 'false');
    handle.hidden = false;
    move(50);
  }
  const select = (label, value, choose) => el('label', {}, label, el('select', {
    change: event => { choose(Number(event.target.value)); update(); }},
    ...images.map((image, i) => el('option', {value: i, selected: i === value ? '' : null}, image.label))));
  update();
  return el('div', {class: 'compare'}, el('div', {class: 'sides'}, select('Left', a, value => { a = value; }), blink,
    el('span', {class: 'right'}, select('Right', b, value => { b = value; }))), stage);
}
