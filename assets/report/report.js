/* global uPlot */
// Draws the plots of a report: each one a list of lines with their own steps.
(() => {
  const { plots } = JSON.parse(document.getElementById('report').textContent);
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();

  /** Few digits, and an exponent where there would be many zeros. */
  const short = (value) => {
    if (value == null) return '';
    if (value !== 0 && (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e6)) return value.toExponential(2);
    return String(Number(value.toPrecision(4)));
  };

  const axis = {
    stroke: colour('--muted'),
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { stroke: colour('--line'), width: 1 },
  };

  for (const plot of plots) {
    const section = document.createElement('section');
    const title = document.createElement('h2');
    title.textContent = plot.title;
    const box = document.createElement('div');
    section.append(title, box);
    document.querySelector('.plots').append(section);

    const data = uPlot.join(plot.lines.map(({ steps, values }) => [steps, values]));
    const chart = new uPlot(
      {
        width: box.clientWidth,
        height: 260,
        scales: { x: { time: false }, y: plot.log ? { distr: 3 } : {} },
        axes: [axis, { ...axis, size: 64, values: (_, ticks) => ticks.map(short) }],
        series: [
          { label: 'step' },
          ...plot.lines.map((line) => ({
            label: line.label,
            stroke: line.colour,
            width: line.dashed ? 1 : 1.5,
            dash: line.dashed ? [6, 4] : undefined,
            points: { show: line.points, size: 5 },
            spanGaps: true,
            value: (_, value) => short(value),
          })),
        ],
        cursor: { sync: { key: 'step' } },
      },
      data,
      box,
    );
    new ResizeObserver(() => chart.setSize({ width: box.clientWidth, height: 260 })).observe(box);
  }
})();
