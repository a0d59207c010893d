// What every page owes its readers: names, references, headings, room, contrast. Returns faults as lines.
() => {
  const faults = [];
  const all = (selector) => [...document.querySelectorAll(selector)];
  const seen = (node) => node.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  const where = (node) => `${node.tagName.toLowerCase()}#${node.id}.${node.getAttribute("class") || ""}`;
  const text = (node) => (node?.textContent || "").trim();

  // Everything that can be operated has a name.
  const nameOf = (node) => {
    const by = (node.getAttribute("aria-labelledby") || "").split(" ");
    const labels = [...(node.labels || []), ...by.map((id) => document.getElementById(id))].map(text);
    const images = [...node.querySelectorAll("img")].map((image) => image.alt);
    return [node.getAttribute("aria-label"), ...labels, text(node), ...images].join("").trim();
  };
  const operated = "a[href], button, input:not([type=hidden]), select, textarea, summary, [role=region], nav";
  for (const node of all(`${operated}, progress`)) if (!nameOf(node)) faults.push(`no name: ${where(node)}`);
  for (const node of all("img:not([alt])")) faults.push(`no alt: ${where(node)}`);

  // References lead somewhere, and ids are used once.
  const ids = all("[id]").map((node) => node.id);
  ids.forEach((id, n) => ids.indexOf(id) < n && faults.push(`id twice: ${id}`));
  for (const name of ["aria-labelledby", "aria-describedby", "for"])
    for (const node of all(`[${name}]`))
      for (const id of node.getAttribute(name).split(" "))
        if (!document.getElementById(id)) faults.push(`${name} of ${where(node)} leads nowhere: ${id}`);

  // A language, a title, one main, one first heading, no level of headings left out, heads of tables.
  if (!document.documentElement.lang) faults.push("no language");
  if (!document.title) faults.push("no title");
  if (all("main").length !== 1) faults.push("not one main");
  const levels = all("h1, h2, h3, h4").filter(seen).map((node) => Number(node.tagName[1]));
  if (levels.filter((level) => level === 1).length !== 1) faults.push(`not one h1: ${levels}`);
  levels.forEach((level, n) => n && level > levels[n - 1] + 1 && faults.push(`headings skip: ${levels}`));
  for (const node of all("table")) if (!node.querySelector("th")) faults.push(`no head: ${where(node)}`);

  // What scrolls can be reached by keyboard; the page itself does not scroll sideways; targets can be hit.
  const overflows = (node) =>
    node.scrollWidth > node.clientWidth + 1 || node.scrollHeight > node.clientHeight + 1;
  for (const node of all("main *")) {
    const { overflowX, overflowY } = getComputedStyle(node);
    const own = ["SELECT", "TEXTAREA", "INPUT"].includes(node.tagName);
    if (/auto|scroll/.test(overflowX + overflowY) && overflows(node) && seen(node) && node.tabIndex < 0 && !own)
      faults.push(`scrolls, but has no focus: ${where(node)}`);
  }
  const { scrollWidth, clientWidth } = document.documentElement;
  if (scrollWidth > clientWidth) faults.push(`wider than its window by ${scrollWidth - clientWidth}`);
  for (const node of all("button, .button, nav a"))
    if (seen(node) && node.getBoundingClientRect().height < 24) faults.push(`too low to hit: ${where(node)}`);

  // Contrast of text against all that may lie behind it: 4.5, and 3 for large text.
  const parse = (color) => (color.match(/[\d.]+/g) || []).map(Number);
  const linear = (v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const luminance = ([r, g, b]) =>
    0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
  const behind = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const { backgroundImage, backgroundColor } = getComputedStyle(at);
      const stops = backgroundImage.match(/rgba?\([^)]*\)/g);
      if (stops) return stops.map(parse);
      const color = parse(backgroundColor);
      if (color.length === 3 || color[3] === 1) return [color];
    }
    return [[255, 255, 255]];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const left = "[disabled], svg, noscript, script, option, .unseen, .skip";
  const inked = new Set();
  while (walker.nextNode()) if (text(walker.currentNode)) inked.add(walker.currentNode.parentElement);
  for (const node of inked) {
    if (!seen(node) || node.closest(left)) continue;
    const { color, fontSize, fontWeight } = getComputedStyle(node);
    const large = parseFloat(fontSize) >= 24 || (parseFloat(fontSize) >= 18.66 && Number(fontWeight) >= 700);
    for (const ground of behind(node)) {
      const [low, high] = [luminance(parse(color)), luminance(ground)].sort((a, b) => a - b);
      const ratio = (high + 0.05) / (low + 0.05);
      if (ratio < (large ? 3 : 4.5))
        faults.push(`contrast ${ratio.toFixed(2)}: ${where(node)} ${text(node).slice(0, 30)}`);
    }
  }
  return [...new Set(faults)].slice(0, 30);
}
