// SPDX-License-Identifier: Apache-2.0
// Line charts as SVG, redrawn for the width they get, so that text keeps its size on any screen.

/** About `count` round values that cover [low, high]. */
function ticks(low, high, count) {
  const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map(m => m * power).find(s => s >= raw * 0.999);
  const out = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; ++i) out.push(Number((i * step).toPrecision(12)));
  return out;
}
/** The texts of an axis, all with the same number of decimals. */
function tickTexts(values) {
  const plain = values.every(v => v === 0 || (Math.abs(v) >= 1e-3 && Math.abs(v) < 1e4));
  if (!plain) return values.map(short);
  const decimals = Math.max(0, ...values.map(v => (String(v).split('.')[1] || '').length));
  return values.map(v => v.toFixed(decimals).replace('-', '−'));
}

function drawChart(chart) {
  const box = el('figure', {class: 'chart'});
  const holder = el('div'), tip = el('div', {class: 'tip', hidden: ''});
  // Eight colours; the next eight curves are dashed, those after them dotted.
  const colourOf = curve => {
    const at = Math.max(0, chart.curves.findIndex(other => other.name === curve.name)), on = [16, 6, 2][Math.min(2, Math.floor(at / 8))];
    return `--c: var(--c${at % 8}); --on: ${on}px; --off: ${on < 16 ? 3 : 0}px`;
  };
  const hiddenNames = new Set();
  const needsLegend = chart.curves.length > 1 || (chart.curves.length === 1 && chart.curves[0].name !== chart.title);
  const legend = el('div', {class: 'legend'}, ...(needsLegend ? chart.curves : []).map(curve => {
    const button = el('button', {type: 'button', 'aria-pressed': 'true', title: 'show or hide', style: colourOf(curve), click: () => {
      hiddenNames.has(curve.name) ? hiddenNames.delete(curve.name) : hiddenNames.add(curve.name);
      button.setAttribute('aria-pressed', String(!hiddenNames.has(curve.name)));
      redraw();
    }}, el('i'), curve.name);
    return button;
  }));

  function extent(curves) {
    let x0 = Infinity, x1 = -Infinity, y0 = Infinity, y1 = -Infinity;
    for (const curve of curves) for (let i = 0; i < curve.x.length; ++i) {
      const y = curve.y[i];
      if (y === null) continue;
      x0 = Math.min(x0, curve.x[i]); x1 = Math.max(x1, curve.x[i]);
      y0 = Math.min(y0, y); y1 = Math.max(y1, y);
    }
    if (!(x0 <= x1)) return {x0: 0, x1: 1, y0: 0, y1: 1};
    if (x0 === x1) { x0 -= 0.5; x1 += 0.5; }
    const pad = y0 === y1 ? Math.abs(y0) * 0.1 || 0.5 : (y1 - y0) * 0.06;
    return {x0, x1, y0: y0 - pad, y1: y1 + pad};
  }

  let view = null, cursor = null;
  function redraw() {
    const width = Math.max(240, Math.round(holder.clientWidth || 520)), height = Math.round(Math.min(320, Math.max(220, width * 0.5)));
    const curves = chart.curves.filter(curve => !hiddenNames.has(curve.name));
    const {x0, x1, y0, y1} = extent(curves.length ? curves : chart.curves);
    const yTicks = ticks(y0, y1, 5);
    const yTexts = tickTexts(yTicks);
    const left = 14 + 6.6 * Math.max(3, ...yTexts.map(text => text.length)) + (chart.yLabel ? 16 : 0), right = width - 12;
    const markers = chart.markers.filter(m => m.x >= x0 && m.x <= x1);
    const sx = x => left + (x - x0) / (x1 - x0) * (right - left);
    // Labels of markers that would run into each other go to a second or third line.
    const ends = [];
    const lines = markers.map(m => {
      const x = sx(m.x), half = m.label.length * 3.2, from = Math.max(left, Math.min(right - 2 * half, x - half));
      let line = ends.findIndex(end => end + 8 < from);
      if (line < 0) line = ends.length < 3 ? ends.push(0) - 1 : 2;
      ends[line] = from + 2 * half;
      return {x, line, middle: from + half};
    });
    const top = 8 + 15 * ends.length, bottom = height - 26 - (chart.xLabel ? 16 : 0);
    const sy = y => bottom - (y - y0) / (y1 - y0) * (bottom - top);
    const svg = el('svg:svg', {viewBox: `0 0 ${width} ${height}`, height, role: 'img', tabindex: '0', 'aria-label': summary()});
    yTicks.forEach((t, i) => {
      svg.append(el('svg:line', {class: 'grid', x1: left, x2: right, y1: sy(t), y2: sy(t)}),
        el('svg:text', {x: left - 8, y: sy(t) + 4, 'text-anchor': 'end'}, yTexts[i]));
    });
    svg.append(el('svg:line', {class: 'axis', x1: left, x2: right, y1: bottom, y2: bottom}));
    const xTicks = ticks(x0, x1, Math.max(3, Math.min(8, Math.floor((right - left) / 65)))), xTexts = tickTexts(xTicks);
    xTicks.forEach((t, i) => {
      svg.append(el('svg:line', {class: 'axis', x1: sx(t), x2: sx(t), y1: bottom, y2: bottom + 4}),
        el('svg:text', {x: Math.min(sx(t), width - 3.4 * xTexts[i].length), y: bottom + 18, 'text-anchor': 'middle'}, xTexts[i]));
    });
    if (chart.xLabel) svg.append(el('svg:text', {x: (left + right) / 2, y: height - 4, 'text-anchor': 'middle'}, chart.xLabel));
    if (chart.yLabel) {
      svg.append(el('svg:text', {transform: `translate(12 ${(top + bottom) / 2}) rotate(-90)`, 'text-anchor': 'middle'}, chart.yLabel));
    }
    markers.forEach((m, i) => svg.append(
      el('svg:line', {class: 'marker', x1: lines[i].x, x2: lines[i].x, y1: 12 + 15 * lines[i].line + 3, y2: bottom}),
      el('svg:text', {x: lines[i].middle, y: 12 + 15 * lines[i].line - 1, 'text-anchor': 'middle'}, m.label)));
    for (const curve of curves) {
      let path = '', pen = 'M';
      for (let i = 0; i < curve.x.length; ++i) {
        const y = curve.y[i];
        if (y === null) { pen = 'M'; continue; }
        path += `${pen}${sx(curve.x[i]).toFixed(1)} ${sy(y).toFixed(1)}`;
        if (pen === 'M' && (curve.y[i + 1] ?? null) === null) path += 'h0.01';  // a round cap makes a value between gaps a dot
        pen = 'L';
      }
      svg.append(el('svg:path', {class: `curve${curve.x.length === 1 ? ' single' : ''}`, d: path, style: colourOf(curve)}));
    }
    view = {svg, left, right, top, bottom, width, x0, x1, sx, sy, hover: svg.appendChild(el('svg:g'))};
    const follow = event => {
      const area = svg.getBoundingClientRect();
      point((event.clientX - area.left) * width / area.width);
    };
    svg.addEventListener('pointermove', follow);
    svg.addEventListener('pointerdown', follow);
    svg.addEventListener('pointerleave', leave);
    svg.addEventListener('blur', leave);
    svg.addEventListener('keydown', event => {
      const step = {ArrowLeft: -1, ArrowRight: 1}[event.key];
      if (event.key === 'Escape') leave();
      if (!step) return;
      event.preventDefault();
      point((cursor === null ? (left + right) / 2 : cursor) + step * (right - left) / 60);
    });
    holder.replaceChildren(svg);
    leave();
  }

  function leave() { cursor = null; tip.hidden = true; view.hover.replaceChildren(); }
  function nearest(curve, x) {
    let low = 0, high = curve.x.length - 1;
    while (high - low > 1) { const mid = (low + high) >> 1; curve.x[mid] < x ? low = mid : high = mid; }
    return Math.abs(curve.x[low] - x) <= Math.abs(curve.x[high] - x) ? low : high;
  }
  function point(px) {
    cursor = Math.max(view.left, Math.min(view.right, px));
    const shown = chart.curves.filter(curve => !hiddenNames.has(curve.name));
    if (!shown.length) return;
    const wanted = view.x0 + (cursor - view.left) / (view.right - view.left) * (view.x1 - view.x0);
    // All curves are read at the place of the nearest sample of any of them.
    const x = shown.map(curve => curve.x[nearest(curve, wanted)]).reduce((a, b) => Math.abs(b - wanted) < Math.abs(a - wanted) ? b : a);
    const px0 = view.sx(x);
    view.hover.replaceChildren(el('svg:line', {class: 'hair', x1: px0, x2: px0, y1: view.top, y2: view.bottom}));
    tip.replaceChildren(el('div', {}, `${chart.xLabel || 'x'} ${Math.abs(x) < 1e7 ? Number(x.toPrecision(7)) : short(x)}`));
    for (const curve of shown) {
      const i = nearest(curve, x);
      if (curve.y[i] === null) continue;
      const cx = view.sx(curve.x[i]), cy = view.sy(curve.y[i]);
      view.hover.append(el('svg:circle', {class: 'dot', r: 4.5, cx, cy, style: colourOf(curve)}));
      tip.append(el('div', {style: colourOf(curve)}, el('b', {}, short(curve.y[i])), el('i'), curve.name));
    }
    tip.hidden = false;
    const scale = view.svg.getBoundingClientRect().width / view.width, at = holder.offsetLeft + px0 * scale;
    tip.style.top = `${holder.offsetTop + view.top * scale + 4}px`;
    tip.style.left = `${at + 12 + tip.offsetWidth > box.clientWidth ? Math.max(4, at - 12 - tip.offsetWidth) : at + 12}px`;
  }
  function summary() {
    return `${chart.title}: ` + chart.curves.map(curve => {
      const values = curve.y.filter(v => v !== null);
      return values.length ? `${curve.name} from ${short(values[0])} to ${short(values.at(-1))}` : `${curve.name} has no values`;
    }).join('; ');
  }

  box.append(chart.title ? el('h3', {}, chart.title) : '', legend, holder, tip);
  redraw();
  let last = 0;
  new ResizeObserver(() => requestAnimationFrame(() => {  // a redraw within the callback would be a resize loop
    if (holder.clientWidth === last) return;
    last = holder.clientWidth;
    redraw();
  })).observe(holder);
  return box;
}
