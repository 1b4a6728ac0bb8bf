{{%AUTOESCAPE context="JAVASCRIPT"}}
// Reads figures off the curves under the pointer. Without it the page lacks nothing else.
(() => {
  const axis = (text) => {
    const [scale, low, high, from, to] = text.split(' ');
    const f = scale === 'log' ? Math.log : (v) => v, g = scale === 'log' ? Math.exp : (v) => v;
    return (at) => g(f(+low) + (at - from) / (to - from) * (f(+high) - f(+low)));
  };
  const show = (v) => Math.abs(v) >= 1e4 || (v !== 0 && Math.abs(v) < 1e-3) ? v.toExponential(2) : String(+v.toPrecision(3));
  for (const svg of document.querySelectorAll('svg.plot')) {
    const lines = [...svg.querySelectorAll('path[data-label]')].map((path) => ({
      label: path.dataset.label,
      points: path.getAttribute('d').slice(1).split('L').map((p) => p.split(' ').map(Number)),
    }));
    if (lines.length === 0) continue;
    const x = axis(svg.dataset.x), y = axis(svg.dataset.y);
    const box = document.createElement('output');
    box.className = 'read-out';
    svg.parentNode.append(box);
    svg.addEventListener('pointermove', (event) => {
      const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
      const near = lines.map(({label, points}) => ({
        label, point: points.reduce((a, b) => Math.abs(b[0] - at.x) < Math.abs(a[0] - at.x) ? b : a)}));
      near.sort((a, b) => Math.abs(a.point[1] - at.y) - Math.abs(b.point[1] - at.y));
      box.textContent = near.slice(0, 4).map(({label, point}) =>
        (lines.length > 1 ? label + ': ' : '') + show(y(point[1])) + ' at ' + show(x(point[0]))).join('\n');
      box.style.display = 'block';
    });
    svg.addEventListener('pointerleave', () => { box.style.display = ''; });
  }
})();
