// Measures the picture that stands in this page, as this browser draws it, and leaves what it found as JSON.
'use strict';
const svg = document.querySelector('svg');
const box = (element) => {
  const r = element.getBoundingClientRect();
  return [r.left, r.top, r.right, r.bottom];
};
const all = (selector) => [...svg.querySelectorAll(selector)];
const frame = box(svg);
const texts = all('text').map((element) => ({ what: element.textContent, box: box(element) }));
const shapes = all('rect, path')
  .filter((element) => !element.matches('.lk-ground, .lk-line, .lk-stem'))
  .map((element) => ({ what: element.outerHTML, box: box(element) }));

// Half a pixel is a rounding.
const inside = ([l, t, r, b]) => l >= frame[0] && t >= frame[1] && r <= frame[2] && b <= frame[3];
const apart = (a, b) =>
  a[2] <= b[0] + 0.5 || b[2] <= a[0] + 0.5 || a[3] <= b[1] + 0.5 || b[3] <= a[1] + 0.5;

const outside = [...texts, ...shapes].filter(({ box }) => !inside(box)).map(({ what }) => what);
const overlaps = [];
texts.forEach((one, at) => {
  for (const other of [...texts.slice(0, at), ...shapes]) {
    if (!apart(one.box, other.box)) overlaps.push([one.what, other.what]);
  }
});

// WCAG 2.2, relative luminance and contrast ratio.
const luminance = (colour) => {
  const parts = colour.match(/[\d.]+/g).map(Number);
  if (parts.length !== 3) throw new Error('not opaque: ' + colour);
  const [r, g, b] = parts.map((part) => {
    const c = part / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ground = luminance(getComputedStyle(svg.querySelector('.lk-ground')).fill);
const contrast = (colour) => {
  const [dark, light] = [luminance(colour), ground].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
};
const ink = (element) => {
  const style = getComputedStyle(element);
  return style.fill === 'none' ? style.stroke : style.fill;
};
const least = (elements) => Math.min(...elements.map((element) => contrast(ink(element))));
// As a file of its own it is XML, and no HTML that is taken as it comes.
const source = document.getElementById('source').textContent;
const parsed = new DOMParser().parseFromString(source, 'image/svg+xml');
const found = {
  xml: parsed.querySelector('parsererror')?.textContent ?? parsed.documentElement.tagName,
  texts: texts.length,
  shapes: shapes.length,
  outside,
  overlaps,
  text: least(all('text, tspan')),
  mark: least(all('rect, path').filter((element) => !element.matches('.lk-ground, .lk-line'))),
  dark: ground < 0.5,
  titles: all('g > title').length,
};
document.getElementById('found').textContent = JSON.stringify(found);
