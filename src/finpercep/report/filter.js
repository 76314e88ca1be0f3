// SPDX-License-Identifier: Apache-2.0
// Pages of many strips: show those of one group, and of a range of values.

/** `articles[i]` shows data.strips[i]. Nothing where the strips have no groups. */
function drawFilter(articles) {
  const groups = [...new Set(data.strips.map(strip => strip.group).filter(Boolean))].sort();
  if (!groups.length) return null;
  const state = {group: '', low: 0, high: 1};
  const count = el('output', {});
  const show = () => {
    let shown = 0;
    data.strips.forEach(({group, value}, i) => {
      const inside = (!state.group || group === state.group) && (value === null || (value >= state.low && value <= state.high));
      articles[i].hidden = !inside;
      shown += inside;
    });
    count.textContent = `${shown} of ${articles.length}`;
  };
  const bound = (label, key) => {
    const text = el('output', {}, state[key].toFixed(2));
    return el('label', {}, label, el('input', {type: 'range', min: 0, max: 1, step: 0.05, value: state[key], input: event => {
      state[key] = Number(event.target.value);
      text.textContent = state[key].toFixed(2);
      show();
    }}), text);
  };
  const select = el('select', {change: event => { state.group = event.target.value; show(); }},
    el('option', {value: ''}, 'all'), ...groups.map(group => el('option', {value: group}, group)));
  const name = data.valueLabel || 'value';
  show();
  return el('div', {class: 'tools filter'}, el('label', {}, 'Source', select), bound(`${name} from`, 'low'), bound('to', 'high'), count);
}
