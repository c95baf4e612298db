import type { TrainConfig } from './config';
import type { EvaluationLine } from './run-log';

/** What a model card says about a run. */
export interface CardFacts {
  /** Name of the model. */
  name: string;
  config: TrainConfig;
  /** Whether the model it started from is the hub's, under the name in the configuration. */
  fromHub: boolean;
  steps: number;
  /** Mean terms of a document and of a query after these steps. */
  nnz?: { documents: number; queries: number };
  lambda?: number;
  /** How often lambda of the documents was moved. */
  adjustments: number;
  /** Of the model as it is. */
  evaluation?: EvaluationLine;
  /** The step whose evaluation was best. */
  bestStep?: number;
  fles: string;
}

const SPARSE_TAGS = ['sparse-encoder', 'sparse', 'splade'];
const DENSE_TAGS = ['sentence-similarity', 'dense'];

/** README.md of a trained model, with the front matter that the Hugging Face hub reads. */
export function modelCard(facts: CardFacts): string {
  const { config, name } = facts;
  const masked = config.task === 'mlm';
  const dense = config.network.mode === 'dense';
  const tags = masked ? ['fill-mask'] : ['sentence-transformers', ...(dense ? DENSE_TAGS : SPARSE_TAGS), 'fles'];
  const front = [
    `library_name: ${masked ? 'transformers' : 'sentence-transformers'}`,
    `pipeline_tag: ${masked ? 'fill-mask' : 'feature-extraction'}`,
    ...(facts.fromHub ? [`base_model: ${config.model}`] : []),
    `tags:\n${tags.map((tag) => `- ${tag}`).join('\n')}`,
  ];
  return [
    `---\n${front.join('\n')}\n---`,
    `# ${name}`,
    masked ? maskedText(facts) : dense ? denseText(facts) : sparseText(facts),
    ...(facts.evaluation ? [results(facts.evaluation, facts)] : []),
    `## Training\n\nTrained with fles ${facts.fles} from \`${publicModel(facts)}\`, ${facts.steps} steps, with this configuration:\n\n` +
      `\`\`\`json\n${JSON.stringify(publicConfig(facts), undefined, 2)}\n\`\`\``,
  ]
    .map((part) => `${part}\n`)
    .join('\n');
}

function maskedText({ name }: CardFacts): string {
  return `A masked language model.\n\n\`\`\`python\nfrom transformers import AutoModelForMaskedLM\n\nmodel = AutoModelForMaskedLM.from_pretrained("${name}")\n\`\`\``;
}

function denseText({ config, name }: CardFacts): string {
  const score = config.loss.similarity === 'cos' ? ' Vectors have the length 1: a dot product is a cosine.' : '';
  return [
    `A dense encoder: a text becomes one vector.${score}`,
    `\`\`\`js\nimport { FLES1Encoder } from 'fles';\n\nconst encoder = await FLES1Encoder.fromPretrained('${name}');\nconst vectors = await encoder.encodeDense(['What is machine learning?'], { kind: 'query' });\nconsole.log(vectors.row(0));\n\`\`\``,
    `\`\`\`python\nfrom sentence_transformers import SentenceTransformer\n\nmodel = SentenceTransformer("${name}")\nprint(model.encode("What is machine learning?"))\n\`\`\``,
  ].join('\n\n');
}

function sparseText({ config, name, nnz, lambda, adjustments, steps }: CardFacts): string {
  const { clfr } = config;
  const sparsity = nnz
    ? ` After ${steps} steps a document had ${nnz.documents.toFixed(1)} terms and a query ${nnz.queries.toFixed(1)}, on average.`
    : '';
  const control =
    clfr.law === 'none' || clfr.law === 'quadratic'
      ? ''
      : ` Closed-loop FLOPS regulation (law \`${clfr.law}\`) with the target ${clfr.measure} ${clfr.target} moved lambda ${adjustments} times` +
        `${lambda === undefined ? '' : `, to ${lambda.toPrecision(3)}`}.`;
  return [
    `A sparse encoder: a text becomes a vector with a weight for some of the ${config.network.queryKind === 'bag' ? 'terms; a query is the bag of its word pieces' : 'terms'} of its vocabulary.${sparsity}${control}`,
    `\`\`\`js\nimport { FLES1Encoder } from 'fles';\n\nconst encoder = await FLES1Encoder.fromPretrained('${name}');\nconsole.log((await encoder.encode('What is machine learning?', { kind: 'query' })).toObject());\n\`\`\``,
    `\`\`\`python\nfrom sentence_transformers import SparseEncoder\n\nmodel = SparseEncoder("${name}")\nprint(model.decode(model.encode_query("What is machine learning?")))\n\`\`\``,
  ].join('\n\n');
}

function results({ metrics, nnz, flops, step }: EvaluationLine, { config, bestStep }: CardFacts): string {
  const { evaluation } = config;
  const rows = [
    ...Object.entries(metrics).map(([name, value]) => [name, value.toFixed(4)]),
    ...(nnz
      ? [
          ['terms a document', nnz.documents.toFixed(1)],
          ['terms a query', nnz.queries.toFixed(1)],
        ]
      : []),
    ...(flops === null ? [] : [['products a pair (FLOPS)', flops.toFixed(2)]]),
  ];
  const name = baseName(evaluation.data!);
  const table = rows.map(([name, value]) => `| ${name} | ${value} |`).join('\n');
  const better =
    bestStep === undefined || bestStep === step
      ? ''
      : `\n\nThe step ${bestStep} was better by ${evaluation.metric}: its model is in \`best\`.`;
  return `## Results\n\nOn ${name}, split ${evaluation.split}, after step ${step}:\n\n| measure | value |\n|---|---:|\n${table}${better}`;
}

/** The configuration with the names of files in the place of their paths on this machine. */
function publicConfig(facts: CardFacts): object {
  const { output: _, ...config } = facts.config;
  const named = (path: string | null) => (path === null ? null : baseName(path));
  const { data, evaluation, loss } = config;
  return {
    ...config,
    model: publicModel(facts),
    data: {
      ...data,
      paths: data.paths.map(baseName),
      corpus: named(data.corpus),
      queries: named(data.queries),
      qrels: named(data.qrels),
    },
    loss: { ...loss, distillation: { ...loss.distillation, teacher: publicTeacher(loss.distillation.teacher) } },
    evaluation: { ...evaluation, data: named(evaluation.data) },
  };
}

function publicModel({ config, fromHub }: CardFacts): string {
  return fromHub ? config.model : baseName(config.model);
}

/** A name with one slash may be the hub's; any other path is a folder's. */
function publicTeacher(teacher: string | null): string | null {
  return teacher === null || /^[\w-][\w.-]*\/[\w.-]+$/.test(teacher) ? teacher : baseName(teacher);
}

function baseName(path: string): string {
  return path.replace(/[/\\]+$/, '').replace(/^.*[/\\]/, '');
}
