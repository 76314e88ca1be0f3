// SPDX-License-Identifier: Apache-2.0
// The frame of the page: title, facts, notes, navigation. All text enters through textContent, never as HTML.

const data = JSON.parse(document.getElementById('data').textContent);

/** An element with attributes (functions become listeners, null is left out) and children (nodes or strings). */
function el(tag, attributes, ...children) {
  const node = tag.startsWith('svg:') ? document.createElementNS('http://www.w3.org/2000/svg', tag.slice(4)) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === 'function') node.addEventListener(name, value);
    else node.setAttribute(name, value);
  }
  node.append(...children.filter(child => child !== null && child !== undefined));
  return node;
}

/** Four significant digits, as short as they can be written: 0.7312, 12.5, 10k, 3e-5. */
function short(value) {
  if (value === null || !Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  let text = String(Number(value.toPrecision(4)));
  if (size !== 0 && (size < 1e-3 || size >= 1e7)) text = Number(value.toPrecision(3)).toExponential().replace('e+', 'e');
  else if (size >= 1e4) text = Number((value / 1000).toPrecision(4)) + 'k';
  return text.replaceAll('-', '−');
}

/** Buttons of which exactly one is pressed. */
function choice(label, options, value, onChange) {
  const buttons = options.map(([key, text]) => el('button', {type: 'button', 'aria-pressed': String(key === value), click: () => {
    buttons.forEach((button, i) => button.setAttribute('aria-pressed', String(options[i][0] === key)));
    onChange(key);
  }}, text));
  return el('div', {class: 'choice', role: 'group', 'aria-label': label}, ...buttons);
}

function section(id, title, ...children) { return el('section', {id, 'aria-label': title}, el('h2', {}, title), ...children); }

function draw() {
  const main = document.querySelector('main');
  const head = el('div', {class: 'title'}, el('h1', {}, data.title || 'FinPercep report'));
  if (data.subtitle) head.append(el('p', {class: 'subtitle'}, data.subtitle));
  if (data.facts.length) {
    head.append(el('dl', {class: 'facts'}, ...data.facts.map(([key, value]) => el('div', {}, el('dt', {}, key), el('dd', {}, value)))));
  }
  main.append(head);
  const sections = [];
  if (data.tables.length) sections.push(['results', 'Results', ...data.tables.map(drawTable)]);
  if (data.charts.length) sections.push(['curves', 'Curves', el('div', {class: 'charts'}, ...data.charts.map(drawChart))]);
  const strips = data.strips.map(drawStrip);
  if (strips.length) sections.push(['pictures', 'Pictures', drawMapTools(), drawFilter(strips), ...strips]);
  if (data.notes.length) sections.push(['notes', 'Notes', el('div', {class: 'notes'}, ...data.notes.map(text => el('p', {}, text)))]);
  const nav = document.querySelector('nav');
  for (const [id, title, ...children] of sections) {
    main.append(section(id, title, ...children));
    nav.append(el('a', {href: '#' + id}, title));
  }
  const links = [...nav.children];
  addEventListener('scroll', () => {
    const here = sections.findLastIndex(([id]) => document.getElementById(id).getBoundingClientRect().top < innerHeight / 3);
    links.forEach((link, i) => link.classList.toggle('here', i === here));
  }, {passive: true});
  // The section did not exist yet when the browser looked for it.
  if (location.hash.length > 1) document.getElementById(location.hash.slice(1))?.scrollIntoView();
  document.documentElement.dataset.ready = 'yes';  // the browser test waits for this
}
