// Everything that comes from the network becomes text here, never markup.

// el makes an element; attributes are set by name, children are nodes or texts.
export function el(name, attributes = {}, ...children) {
  const e = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === 'onclick') e.addEventListener('click', value);
    else e.setAttribute(key, value);
  }
  e.append(...children.map((c) => (c instanceof Node ? c : document.createTextNode(String(c)))));
  return e;
}

// table replaces the content of box: columns are {title, num?, cell(row)}.
export function table(box, columns, rows, empty) {
  if (rows.length === 0) {
    box.replaceChildren(el('p', { class: 'none' }, empty));
    return;
  }
  const attributes = (c) => ({ class: c.num ? 'num' : (c.className ?? '') });
  const head = el('tr', {}, ...columns.map((c) => el('th', { scope: 'col', ...attributes(c) }, c.title)));
  const body = rows.map((r) => el('tr', {}, ...columns.map((c) => el('td', attributes(c), c.cell(r)))));
  box.replaceChildren(el('table', {}, el('thead', {}, head), el('tbody', {}, ...body)));
}

export function state(name) {
  const known = ['live', 'grace', 'ended', 'alive', 'suspect', 'dead', 'left', 'draining'];
  return el('span', { class: `state ${known.includes(name) ? name : ''}` }, name);
}

export function fragment(...children) {
  const f = document.createDocumentFragment();
  f.append(...children);
  return f;
}
