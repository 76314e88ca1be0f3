// SPDX-License-Identifier: Apache-2.0
// Tables: best cell bold, arrows for the better direction, sorting by a click on a heading.

function drawTable(table) {
  const body = el('tbody');
  let sorted = {column: -1, step: 0};
  const rows = table.rows.map((row, r) => el('tr', {}, ...row.cells.map((cell, c) => {
    const column = table.columns[c];
    const classes = [column.numeric ? 'numeric' : '', column.best.includes(r) ? 'best' : ''].filter(Boolean).join(' ');
    return el(c === 0 ? 'th' : 'td', {class: classes || null, scope: c === 0 ? 'row' : null}, cell);
  })));

  // First click: best first; second: the other way round; third: the order the rows came in.
  function order(c, step) {
    const indices = rows.map((_, r) => r);
    if (step === 0) return indices;
    const column = table.columns[c];
    const sign = (column.better === 'up' ? -1 : 1) * (step === 1 ? 1 : -1);
    return indices.sort((a, b) => {
      const x = table.rows[a].values[c], y = table.rows[b].values[c];
      if (!column.numeric && column.better === '') {
        return sign * table.rows[a].cells[c].localeCompare(table.rows[b].cells[c], 'en', {numeric: true});
      }
      if (x === null || y === null) return (x === null) - (y === null);  // cells without a number stay at the end
      return sign * (x - y);
    });
  }
  function sort(c) {
    sorted = {column: c, step: sorted.column === c ? (sorted.step + 1) % 3 : 1};
    body.append(...order(c, sorted.step).map(r => rows[r]));
    headings.forEach((heading, i) => {
      const active = i === c && sorted.step > 0;
      const descending = (table.columns[i].better === 'up') === (sorted.step === 1);
      if (active) heading.setAttribute('aria-sort', descending ? 'descending' : 'ascending');
      else heading.removeAttribute('aria-sort');
      heading.querySelector('.sorted').textContent = active ? (descending ? '▼' : '▲') : '';
    });
  }
  const headings = table.columns.map((column, c) => {
    const arrow = column.better === 'up' ? '↑' : column.better === 'down' ? '↓' : '';
    const meaning = column.better === 'up' ? 'higher is better' : column.better === 'down' ? 'lower is better' : '';
    return el('th', {scope: 'col', class: column.numeric ? 'numeric' : null},
      el('button', {type: 'button', title: ['sort', meaning].filter(Boolean).join('; '), click: () => sort(c)},
        column.name, arrow ? el('span', {class: 'arrow', role: 'img', 'aria-label': meaning}, arrow) : null,
        el('span', {class: 'sorted', 'aria-hidden': 'true'})));
  });
  body.append(...rows);
  return el('div', {class: 'table'}, table.title ? el('h3', {}, table.title) : null,
    el('div', {class: 'scroll', tabindex: '0', role: 'region', 'aria-label': table.title || 'table'},
      el('table', {}, el('thead', {}, el('tr', {}, ...headings)), body)),
    table.note ? el('p', {class: 'note'}, table.note) : null);
}
