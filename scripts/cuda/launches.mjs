// The size of a kernel's blocks and their dynamic shared memory, read from the launches in its source:
//   op.launch(KERNEL, GRID, BLOCK, SHARED, ...)
// with the constants that it names. What is not so simple is not found, and stands in the budgets instead.

const OPEN = '([{<';
const CLOSE = ')]}>';

/** The arguments of a call from the text behind its bracket on. */
function argumentsOf(text) {
  const found = [''];
  let depth = 0;
  for (const c of text.replace(/->/g, '.')) {
    if (CLOSE.includes(c) && --depth < 0) break;
    if (OPEN.includes(c)) ++depth;
    if (c === ',' && depth === 0) found.push('');
    else found[found.length - 1] += c;
  }
  return found.map((argument) => argument.trim());
}

/** Names and what they stand for: `k... = x`, `block = x`, and functions of an int that return a number. */
function definitions(source) {
  const constants = source.matchAll(/\b(k[A-Z]\w*|block)\s*=(?!=)\s*([^;,]+?)\s*[;,]/g);
  const functions = source.matchAll(/constexpr \w+ (\w+)\(int \w+\)\s*\{\s*return ([^;]+);/g);
  return new Map([...constants, ...functions].map(([, name, value]) => [name, value]));
}

const LEVELS = [
  {
    '<': (a, b) => a < b,
    '<=': (a, b) => a <= b,
    '>': (a, b) => a > b,
    '>=': (a, b) => a >= b,
    '==': (a, b) => a === b,
  },
  { '+': (a, b) => a + b, '-': (a, b) => a - b },
  { '*': (a, b) => a * b, '/': (a, b) => a / b },
];

/** The value of an expression of numbers, brackets, `? :`, comparisons and the four operations; NaN for what is none. */
function calculate(text) {
  const tokens = text.match(/\d+|[<>=]=|[-+*/()<>?:]|\S/g) ?? [];
  const take = (token) => tokens[0] === token && tokens.shift() !== undefined;
  function primary() {
    if (!take('(')) return /^\d+$/.test(tokens[0] ?? '') ? Number(tokens.shift()) : Number.NaN;
    const value = conditional();
    return take(')') ? value : Number.NaN;
  }
  function binary(level) {
    if (level === LEVELS.length) return primary();
    let value = binary(level + 1);
    while (Object.hasOwn(LEVELS[level], tokens[0] ?? '')) {
      const operation = LEVELS[level][tokens.shift()];
      value = operation(value, binary(level + 1));
    }
    return value;
  }
  function conditional() {
    const condition = binary(0);
    if (!take('?')) return condition;
    const yes = conditional();
    const no = take(':') ? conditional() : Number.NaN;
    return condition ? yes : no;
  }
  const value = conditional();
  return tokens.length === 0 ? value : Number.NaN;
}

/** The value of an expression of whole numbers, constants and the width that the kernel is compiled for; or null. */
function evaluate(expression, names, width, depth = 0) {
  if (depth > 8) return null;
  const plain = expression
    .replace(/static_cast<\w+>/g, '')
    .replace(/sizeof\(float\)/g, '4')
    .replace(/<(?:kWidth|width\(\))>|\((?:width|width\(\))\)/g, '') // what depends on the width is given it
    .replace(/\b(?:width\(\)|width|kWidth)(?!\w)/g, String(width));
  let known = true;
  const numbers = plain.replace(/\b[A-Za-z_]\w*\b/g, (name) => {
    const value = names.has(name) ? evaluate(names.get(name), names, width, depth + 1) : null;
    known &&= value !== null;
    return String(value);
  });
  if (!known) return null;
  const value = calculate(numbers);
  return Number.isInteger(value) ? value : null;
}

/** {block, dynamicShared} of the kernel `name`, such as `attend<Tf32, 64>`, where `source` launches it; null: not known. */
export function launchOf(name, source) {
  const base = name.replace(/<.*/, '');
  const width = /\b(\d+)\b/.exec(name.slice(base.length))?.[1] ?? 0;
  const names = definitions(source);
  const launches = source.split('op.launch(').slice(1).map(argumentsOf);
  const [, , block, shared] = launches.find(([kernel]) => new RegExp(`\\b${base}\\b`).test(kernel)) ?? [];
  if (block === undefined) return { block: null, dynamicShared: null };
  return { block: evaluate(block, names, width), dynamicShared: evaluate(shared, names, width) };
}
