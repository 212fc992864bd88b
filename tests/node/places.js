// Spells the place of a value for RedisJSON: names and indices become a path that every command
// reads and writes rightly. What RedisJSON cannot write by path is refused, not misread.

export function at(...steps) {
  return "$" + steps.map(step).join("");
}

function step(name) {
  if (Number.isInteger(name)) return `[${name}]`;
  if (name.startsWith(" ") || name.includes("\\") || (name.includes('"') && name.includes("'"))) {
    throw new RangeError(`RedisJSON cannot write ${JSON.stringify(name)} by path: use merge above it`);
  }
  return name.includes('"') ? `['${name}']` : `["${name}"]`;
}
