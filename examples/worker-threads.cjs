// Two worker threads with an encoder each. One encoder computes on all cores and serves any number of calls at once, so this
// is for programs that have workers anyway; set FLES_NUM_THREADS so that together they do not use more threads than cores.
//   node examples/worker-threads.cjs [MODEL]
const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads');
const { FLES1Encoder } = require('fles');

async function main() {
  const model = process.argv[2] ?? process.env.FLES_MODEL ?? 'rasyosef/splade-tiny';
  const halves = [
    ['red wine', 'white wine'],
    ['green tea', 'black coffee'],
  ];
  const answers = halves.map((texts) => {
    const worker = new Worker(__filename, { workerData: { model, texts } });
    return new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
  });
  for (const [term, text] of (await Promise.all(answers)).flat()) console.log(`${text}: heaviest term ${term}`);
}

async function work({ model, texts }) {
  const encoder = await FLES1Encoder.fromPretrained(model);
  const matrix = await encoder.encodeBatch(texts);
  // A vector that is posted arrives as its arrays `terms` and `weights` alone, without methods and vocabulary; post `toObject()`
  // where the terms are needed. Here the heaviest one of each is enough.
  parentPort.postMessage(texts.map((text, i) => [matrix.row(i).entries()[0]?.[0], text]));
  encoder.dispose();
}

if (isMainThread) main();
else work(workerData);
