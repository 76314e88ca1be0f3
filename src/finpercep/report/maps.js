// SPDX-License-Identifier: Apache-2.0
// Defect maps (1 = defect): painted over the pictures in matplotlib's inferno colours, transparent where they are low.

const mapState = {mode: 'overlay', opacity: 0.8, threshold: 0.2, zoom: 3};
const mapViews = [];         // {canvas, values, report}: every painted copy of a map
const lensClosers = [];      // a lens shows the state it was drawn with; a change closes it

const inferno = (() => {
  // As image/overlay.cpp has them: every fifteenth of matplotlib's inferno (CC0), linear between.
  const stops = ['000004', '0a0722', '1e0c45', '380962', '510e6c', '69166e', '801f6c', '982766', 'b0315b',
    'c63d4d', 'd94d3d', 'e9612b', 'f47918', 'fa9407', 'fcb014', 'f8cd37', 'f2ea69', 'fcffa4']
    .map(hex => [0, 2, 4].map(i => parseInt(hex.slice(i, i + 2), 16)));
  return Array.from({length: 256}, (_, i) => {
    const at = i / 15, low = Math.min(16, Math.floor(at)), part = at - low;
    return stops[low].map((c, k) => Math.round(c + part * (stops[low + 1][k] - c)));
  });
})();

/** The gray values of a map picture, decoded once however often it is shown. */
function mapValues(map) {
  return map.values ||= new Promise((resolve, reject) => {
    const image = new Image();
    image.onload = () => {
      const canvas = el('canvas', {width: image.naturalWidth, height: image.naturalHeight});
      const context = canvas.getContext('2d', {willReadFrequently: true});
      context.drawImage(image, 0, 0);
      const rgba = context.getImageData(0, 0, canvas.width, canvas.height).data;
      const gray = new Uint8ClampedArray(rgba.length / 4);
      for (let i = 0; i < gray.length; ++i) gray[i] = rgba[4 * i];
      resolve({gray, width: canvas.width, height: canvas.height});
    };
    image.onerror = () => reject(new Error('a map could not be decoded'));
    image.src = map.src;
  });
}

function paint(view) {
  const {canvas, values: {gray, width, height}} = view;
  canvas.style.visibility = mapState.mode === 'off' ? 'hidden' : '';  // not `hidden`: what has no box is never seen on the screen again
  canvas.style.opacity = mapState.mode === 'overlay' ? mapState.opacity : 1;
  const limit = mapState.threshold * 255, solid = mapState.mode === 'map';
  let above = 0;
  const painted = new ImageData(width, height);
  for (let i = 0; i < gray.length; ++i) {
    const value = gray[i], on = value >= limit;
    above += on;
    const colour = inferno[on ? value : 0];
    painted.data[4 * i] = colour[0];
    painted.data[4 * i + 1] = colour[1];
    painted.data[4 * i + 2] = colour[2];
    painted.data[4 * i + 3] = solid ? 255 : on ? value : 0;
  }
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, {width, height});
  canvas.getContext('2d').putImageData(painted, 0, 0);
  view.stale = false;
  if (view.report) view.report(above / gray.length);
}

// A page may hold many maps; only those on the screen are repainted while a slider moves.
const mapsOnScreen = new IntersectionObserver(entries => {
  for (const entry of entries) {
    const view = mapViews.find(candidate => candidate.canvas === entry.target);
    view.seen = entry.isIntersecting;
    if (view.seen && view.stale) paint(view);
  }
}, {rootMargin: '300px'});

function mapCanvas(map, report) {
  const canvas = el('canvas', {class: 'map', 'aria-hidden': 'true'});
  mapValues(map).then(values => {
    const view = {canvas, values, report, seen: false, stale: true};
    mapViews.push(view);
    paint(view);
    mapsOnScreen.observe(canvas);
  }).catch(error => canvas.replaceWith(String(error.message)));
  return canvas;
}

let frame = 0;
function repaintMaps() {
  lensClosers.forEach(close => close());
  for (const view of mapViews) view.stale = true;
  cancelAnimationFrame(frame);
  frame = requestAnimationFrame(() => mapViews.filter(view => view.seen).forEach(paint));
}
addEventListener('beforeprint', () => mapViews.filter(view => view.stale).forEach(paint));

function drawMapTools() {
  const zooms = [[0, 'off'], [2, '2×'], [3, '3×'], [6, '6×']], modes = [['off', 'off'], ['overlay', 'overlay'], ['map', 'map only']];
  const zoom = el('div', {class: 'field'}, 'Magnifier', choice('Magnifier', zooms, mapState.zoom, value => {
    mapState.zoom = value;
    lensClosers.forEach(close => close());
  }));
  if (!data.strips.some(strip => strip.images.some(image => image.map))) return el('div', {class: 'tools'}, zoom);
  const slider = (label, key) => {
    const text = el('output', {}, mapState[key].toFixed(2));
    return el('label', {}, label, el('input', {type: 'range', min: 0, max: 1, step: 0.01, value: mapState[key], input: event => {
      mapState[key] = Number(event.target.value);
      text.textContent = mapState[key].toFixed(2);
      repaintMaps();
    }}), text);
  };
  const ramp = el('canvas', {width: 256, height: 1, role: 'img', 'aria-label': 'colour scale from 0, clean, to 1, defect'});
  inferno.forEach((colour, i) => {
    const context = ramp.getContext('2d');
    context.fillStyle = `rgb(${colour})`;
    context.fillRect(i, 0, 1, 1);
  });
  const opacity = slider('Opacity', 'opacity');
  return el('div', {class: 'tools'},
    el('div', {class: 'field'}, 'Defect map', choice('Defect map', modes, mapState.mode, mode => {
      mapState.mode = mode;
      opacity.querySelector('input').disabled = mode !== 'overlay';
      repaintMaps();
    })),
    opacity, slider('Threshold', 'threshold'), zoom, el('div', {class: 'scale', title: '0: clean, 1: certain defect'}, '0', ramp, '1'));
}
