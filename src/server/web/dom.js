// Elements without HTML text: nothing from outside can become markup.

/** h("p", {class: "note"}, "text", child, ...): an element. Attributes that are functions are listeners. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "style") element.style.cssText = value;  // the attribute would be against the page's policy
    else if (typeof value === "function") element.addEventListener(name, value);
    else if (name in element && typeof value !== "string") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

let clear = 0;
/** Tells of something, also to screen readers. */
export function say(text, bad = false) {
  const status = document.getElementById("status");
  status.textContent = text;
  clearTimeout(clear);
  clear = setTimeout(() => { status.textContent = ""; }, bad ? 12000 : 5000);
}

/** An <img> that is shown in sharp pixels where it is small. */
export function picture(src, alt) {
  const img = h("img", {src, alt, loading: "lazy", decoding: "async"});
  img.addEventListener("load", () => img.classList.toggle("small", img.naturalWidth < 129));
  return img;
}

export function format(value) {
  if (typeof value === "number" && !Number.isInteger(value)) return String(Number(value.toPrecision(4)));
  return Array.isArray(value) ? value.join(", ") : typeof value === "object" ? JSON.stringify(value) : String(value);
}
