import { readFileSync } from 'node:fs';
import { inspect } from 'node:util';
import { Command, CommanderError, Help } from 'commander';
import { closestName } from '../domain/closest-name.js';
import { NearvoteError } from '../domain/errors.js';
import { printable, printError } from './printable.js';

/** Loaded when named, so that `nearvote classify` does not pay for Express. */
const commands: Readonly<Record<string, () => Promise<Command>>> = {
  serve: async () => (await import('./serve.js')).serveCommand(),
  build: async () => (await import('./build.js')).buildCommand(),
  classify: async () => (await import('./classify.js')).classifyCommand(),
  evaluate: async () => (await import('./evaluate.js')).evaluateCommand(),
  calibrate: async () => (await import('./calibrate.js')).calibrateCommand(),
  compare: async () => (await import('./compare.js')).compareCommand(),
  audit: async () => (await import('./audit.js')).auditCommand(),
  index: async () => (await import('./index-command.js')).indexCommand(),
  encoder: async () => (await import('./encoder.js')).encoderCommand(),
  quantise: async () => (await import('./quantise.js')).quantiseCommand(),
  train: async () => (await import('./train.js')).trainCommand(),
};

async function createProgram(named: string | undefined): Promise<Command> {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  const program = new Command('nearvote')
    .description('Image classification without a classifier: the nearest labelled examples vote')
    .version(version)
    .addHelpText('after', '\nExample:\n  $ nearvote serve --index index/cifar10 --port 8080\n');
  const load = named === undefined ? undefined : commands[named];
  const loads = load === undefined ? Object.values(commands) : [load];
  for (const command of await Promise.all(loads.map((one) => one()))) program.addCommand(command);
  const help = new Help();
  for (const command of [program, ...descendants(program)]) {
    command
      .exitOverride()
      .configureHelp({
        optionDescription: (option) =>
          `${option.mandatory ? 'needed: ' : ''}${help.optionDescription(option)}`,
      })
      .configureOutput({ outputError: (text, write) => write(usageError(text, command)) });
  }
  return program;
}

/** One line, the error in it and where the options are told: a page of help would push it out of sight. */
function usageError(said: string, command: Command): string {
  const names: string[] = [];
  for (let one: Command | null = command; one !== null; one = one.parent) names.unshift(one.name());
  const text = said.startsWith('error: required option') ? missingOptions(command) : said;
  return `${printable(text.trim().replaceAll('\n', ' '))}; npx ${names.join(' ')} --help tells the options\n`;
}

/** Commander names the first that is missing, and after that the next; one that is misspelled is not missing. */
function missingOptions(command: Command): string {
  // What is left of the command line: an option among it is known to nobody.
  const unknown = command.args.find((argument) => /^--?[a-z]/i.test(argument));
  if (unknown !== undefined) {
    const flag = unknown.replace(/=.*/s, '');
    const meant = closestName(
      flag,
      command.options.flatMap(({ long }) => long ?? []),
    );
    return `error: unknown option '${flag}'${didYouMean(meant)}`;
  }
  const missing = command.options.filter(
    (option) => option.mandatory && command.getOptionValue(option.attributeName()) === undefined,
  );
  return `error: missing ${missing.map(({ flags }) => flags).join(', ')}`;
}

function didYouMean(name: string | undefined): string {
  return name === undefined ? '' : ` (Did you mean ${name}?)`;
}

/** Read by `serve` where it needs them: a key is no option, for others see a command line. */
const keyVariables = ['NEARVOTE_API_KEYS', 'NEARVOTE_ADMIN_KEY'];
/** Read by what asks a server. To `serve` it is a slip of the pen that would leave it open to anybody. */
const askersKey = 'NEARVOTE_API_KEY';

/** Names the variables that no command reads: what they were to set stays as it was. */
async function warnOfVariables(program: Command, named: string): Promise<void> {
  const isAsker = (name: string): boolean => name === askersKey && named !== 'serve';
  const among = (known: ReadonlySet<string>): string[] =>
    Object.keys(process.env).filter(
      (name) => name.startsWith('NEARVOTE_') && !known.has(name) && !isAsker(name),
    );
  // Those of other commands are rarely set where one runs: the others are loaded only then.
  if (among(new Set(variablesOf([program]))).length === 0) return;
  const known = variablesOf(await Promise.all(Object.values(commands).map((load) => load())));
  for (const name of among(new Set(known))) {
    printError(
      printable(`nearvote: nothing reads the variable ${name}${didYouMean(closestName(name, known))}`),
    );
  }
}

function variablesOf(programs: readonly Command[]): string[] {
  const all = programs.flatMap((program) => [program, ...descendants(program)]);
  return [...keyVariables, ...all.flatMap(({ options }) => options.flatMap(({ envVar }) => envVar ?? []))];
}

function descendants(command: Command): Command[] {
  return command.commands.flatMap((child) => [child, ...descendants(child)]);
}

/**
 * Runs the command that a command line names, and prints what comes of it.
 * @param argv as `process.argv`: what is asked for begins with the third
 * @returns the exit status: 0 done, 1 failed, 2 wrong usage
 */
export async function runProgram(argv: readonly string[]): Promise<number> {
  try {
    const [node = '', script = '', named, topic] = argv;
    const program = await createProgram(named);
    if (named !== undefined && Object.hasOwn(commands, named)) await warnOfVariables(program, named);
    const isUnknown =
      named === 'help' && topic !== undefined && !topic.startsWith('-') && !Object.hasOwn(commands, topic);
    // Commander would print the help of all, and not say why.
    await program.parseAsync(isUnknown && topic !== 'help' ? [node, script, topic] : argv);
    return 0;
  } catch (error) {
    // Commander has printed its own message, or the help that was asked for.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    if (error instanceof NearvoteError) {
      printError(`nearvote: ${printable(error.message)} [${error.code}]`);
      return error.code === 'usage' ? 2 : 1;
    }
    printError(inspect(error));
    return 1;
  }
}
