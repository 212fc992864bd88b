// The other program: answers one JSON request a line on standard input by one JSON line.
//
//   {"verb": "arrAppend", "arguments": ["key", {"at": ["log"]}, 3]}   ->   {"result": [4]}
//
// The verbs are those of client.json, and the ones below. {"at": [...]} becomes a path.

import { createInterface } from "node:readline";
import { WatchError, createClient } from "redis";
import { at } from "./places.js";

const client = createClient({ url: process.argv[2] });
client.on("error", (error) => console.error(error.message));

const verbs = {
  // A command as it is: numbers stay text on the way.
  send: (...words) => client.sendCommand(words),

  // Numbers by their bits, since JSON has no -0 in JavaScript and prints others shorter.
  bits: async (key, path) => (await client.json.get(key, { path }))[0].map(bits),

  setBits: (key, path, all) => client.json.set(key, path, all.map(number)),

  // What JavaScript makes of a value that is read and written back.
  rewrite: async (key) => client.json.set(key, "$", await client.json.get(key)),

  // Many changes without waiting for each other.
  hammer: async (key, count) => {
    const changes = [];
    for (let turn = 0; turn < count; turn++) {
      changes.push(client.json.arrAppend(key, "$.log", { node: turn }));
      changes.push(client.json.numIncrBy(key, "$.count", 1));
      changes.push(client.json.set(key, at("by", `node${turn % 7}`), turn));
      if (changes.length > 90) await Promise.all(changes.splice(0));
    }
    await Promise.all(changes);
  },

  // Compute from what is there, and store it if nobody was faster: WATCH on a connection of its own.
  raise: async (key, count) => {
    const own = await client.duplicate().connect();
    try {
      for (let done = 0; done < count; ) {
        await own.watch(key);
        const [total] = await own.json.get(key, { path: "$.total" });
        try {
          await own.multi().json.set(key, "$.total", total + 1).exec();
          done++;
        } catch (error) {
          if (!(error instanceof WatchError)) throw error;
        }
      }
    } finally {
      own.destroy();
    }
  },

  undefinedValue: (key, path) => client.json.set(key, path, undefined),
  named: (key, names) => client.json.set(key, "$", Object.fromEntries(names.map((n) => [n, n]))),
  throughProto: (key) => {
    const value = {};
    value["__proto__"] = { lost: true };
    return client.json.set(key, "$", value);
  },
};

function bits(value) {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  return view.getBigUint64(0).toString(16).padStart(16, "0");
}

function number(hex) {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, BigInt("0x" + hex));
  return view.getFloat64(0);
}

function spelled(word) {
  if (Array.isArray(word?.at)) return at(...word.at);
  return word?.path ? { path: spelled(word.path) } : word;
}

async function answer(line) {
  const { verb, arguments: words } = JSON.parse(line);
  const call = verbs[verb] ?? client.json[verb].bind(client.json);
  try {
    return { result: (await call(...words.map(spelled))) ?? null };
  } catch (error) {
    return { error: `${error.name}: ${error.message}` };
  }
}

await client.connect();
for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await answer(line)));
}
client.destroy();
