// Executes a Dockerfile's steps without a container engine: each stage is a folder, each absolute path lands inside it. Knows the
// instructions that ours uses and refuses any other, so that a new one cannot pass untested.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

export interface Instruction {
  readonly name: string;
  readonly text: string;
}

export interface BuiltImage {
  /** The folder that stands for `/`. */
  readonly folder: string;
  readonly workdir: string;
  readonly env: Readonly<Record<string, string>>;
  readonly user: string;
  readonly stopSignal: string;
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  readonly healthcheck: readonly string[];
}

interface Stage extends Omit<BuiltImage, 'workdir'> {
  readonly name: string;
  workdir: string;
  env: Record<string, string>;
  user: string;
  stopSignal: string;
  entrypoint: readonly string[];
  cmd: readonly string[];
  healthcheck: readonly string[];
}

/** Continuation lines joined, comments and blank lines dropped. */
export function parseDockerfile(text: string): readonly Instruction[] {
  const lines = text
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .join('\n')
    .replaceAll('\\\n', ' ')
    .split('\n');
  return lines.flatMap((line) => {
    const [, name = '', rest = ''] = /^(\w+)\s+(.*)$/.exec(line.trim()) ?? [];
    return name === '' ? [] : [{ name: name.toUpperCase(), text: rest }];
  });
}

/** Builds every stage below `folder` from the build context and returns the last. `node` is what the base image would bring. */
export function buildImage(context: string, folder: string, node: string): BuiltImage {
  const admitted = readDockerignore(join(context, '.dockerignore'));
  const stages: Stage[] = [];
  for (const { name, text } of parseDockerfile(readFileSync(join(context, 'Dockerfile'), 'utf8'))) {
    if (name === 'FROM') {
      stages.push(startStage(text, folder, stages.length, node));
      continue;
    }
    const stage = stages.at(-1);
    if (stage === undefined) throw new Error(`Cannot run ${name}: it stands before FROM`);
    apply(stage, name, text, { context, admitted, stages });
  }
  const last = stages.at(-1);
  if (last === undefined) throw new Error('Cannot build: the Dockerfile has no FROM');
  return last;
}

function startStage(text: string, folder: string, index: number, node: string): Stage {
  const [, base, name] = /^(\S+)(?:\s+AS\s+(\S+))?$/i.exec(text) ?? [];
  if (!base?.startsWith('node:')) throw new Error(`Cannot build from '${base}': expected a node image`);
  const root = join(folder, `stage-${index}`);
  mkdirSync(join(root, 'usr', 'local', 'bin'), { recursive: true });
  cpSync(node, join(root, 'usr', 'local', 'bin', 'node'));
  const none: readonly string[] = [];
  const state = { user: '0', stopSignal: '', entrypoint: none, cmd: none, healthcheck: none };
  return { name: name ?? String(index), folder: root, workdir: '/', env: {}, ...state };
}

interface BuildState {
  readonly context: string;
  readonly admitted: (path: string) => boolean;
  readonly stages: readonly Stage[];
}

function apply(stage: Stage, name: string, text: string, build: BuildState): void {
  switch (name) {
    case 'WORKDIR':
      stage.workdir = text;
      mkdirSync(join(stage.folder, text), { recursive: true });
      return;
    case 'ENV': {
      const [, key, value] = /^(\w+)=([^\s"']+)$/.exec(text) ?? [];
      if (key === undefined || value === undefined) throw new Error(`Cannot run ENV ${text}: expected one KEY=value`);
      stage.env[key] = value;
      return;
    }
    case 'COPY':
      copy(stage, text, build);
      return;
    case 'RUN':
      run(stage, execForm(text));
      return;
    case 'USER':
      stage.user = text;
      return;
    case 'STOPSIGNAL':
      stage.stopSignal = text;
      return;
    case 'ENTRYPOINT':
      stage.entrypoint = execForm(text);
      return;
    case 'CMD':
      stage.cmd = execForm(text);
      return;
    case 'HEALTHCHECK':
      stage.healthcheck = execForm(text.slice(text.indexOf('CMD ') + 4));
      return;
    case 'EXPOSE':
      return;
    default:
      throw new Error(`Cannot run ${name} ${text}: this test does not know the instruction`);
  }
}

function copy(stage: Stage, text: string, { context, admitted, stages }: BuildState): void {
  const [, from, paths = ''] = /^(?:--from=(\S+)\s+)?(.+)$/.exec(text) ?? [];
  const words = paths.split(/\s+/);
  const target = words.pop() ?? '';
  const source = from === undefined ? context : stages.find((other) => other.name === from)?.folder;
  if (source === undefined) throw new Error(`Cannot copy from '${from}': no such stage`);
  for (const word of words) {
    const path = join(source, word);
    if (!existsSync(path)) throw new Error(`Cannot copy '${word}': no such file`);
    if (from === undefined && !admitted(word)) throw new Error(`Cannot copy '${word}': .dockerignore keeps it out`);
    const base = join(stage.folder, target.startsWith('/') ? '' : stage.workdir, target);
    const destination = target.endsWith('/') ? join(base, word.split('/').at(-1) ?? '') : base;
    mkdirSync(dirname(destination), { recursive: true });
    cpSync(path, destination, { recursive: true, verbatimSymlinks: true });
  }
}

function run(stage: Stage, [command = '', ...args]: readonly string[]): void {
  const path = `${join(stage.folder, 'usr', 'local', 'bin')}:${process.env['PATH'] ?? ''}`;
  const { NODE_OPTIONS: _dropped, ...inherited } = process.env;
  const result = spawnSync(command, args, {
    cwd: join(stage.folder, stage.workdir),
    env: { ...inherited, ...stage.env, PATH: path, npm_config_prefer_offline: 'true' },
    encoding: 'utf8',
  });
  if (result.status !== 0) {
    throw new Error(
      `Cannot run ${command} ${args.join(' ')}: ${result.stdout}${result.stderr}${result.error?.message ?? ''}`,
    );
  }
}

/** Only the exec form: the image has no use for a shell. */
function execForm(text: string): readonly string[] {
  try {
    return JSON.parse(text) as readonly string[];
  } catch (error) {
    throw new Error(`Cannot run '${text}': expected the exec form, ["command", "argument"]`, { cause: error });
  }
}

/** The allowlist form: `*`, then `!path` lines; anything else is refused. */
function readDockerignore(file: string): (path: string) => boolean {
  const lines = readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
  if (lines[0] !== '*' || !lines.slice(1).every((line) => line.startsWith('!'))) {
    throw new Error("Cannot read .dockerignore: expected '*' and then only '!path' lines");
  }
  const admitted = lines.slice(1).map((line) => line.slice(1));
  return (path) => admitted.some((prefix) => path === prefix || path.startsWith(`${prefix}/`));
}
