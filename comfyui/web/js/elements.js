// How are the panel's elements made, and how are its numbers written?

/** An element with attributes, and with a text or a list of texts and elements in it. */
export function element(name, attributes = {}, content = []) {
  const made = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(attribute, "");
    else if (value !== false) made.setAttribute(attribute, value);
  }
  // Texts come from workflows and models, so they are never parsed as HTML.
  made.append(...(Array.isArray(content) ? content : [content]));
  return made;
}

/** A verdict as a coloured word. */
export function chip(verdict, words) {
  return element("span", { class: `preheat-chip preheat-${verdict}` }, words[verdict] ?? verdict);
}

/** A part of 1 in percent; a dash if it is not known. */
export function percent(part) {
  return part === null ? "–" : `${Math.round(100 * part)} %`;
}

/** A time, such as `0.4 s`, `12 s` or `3.5 min`. */
export function seconds(time) {
  if (time >= 3600) return `${(time / 3600).toFixed(1)} h`;
  if (time >= 120) return `${(time / 60).toFixed(1)} min`;
  return time >= 9.95 ? `${Math.round(time)} s` : `${time.toFixed(1)} s`;
}

/** A number of bytes, such as `48 MB`. */
export function bytes(count) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let at = 0;
  for (; count >= 1000 && at < units.length - 1; at += 1) count /= 1000;
  return `${count >= 10 || at === 0 ? Math.round(count) : count.toFixed(1)} ${units[at]}`;
}
