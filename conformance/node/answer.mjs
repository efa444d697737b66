// How a program tells a test what it saw: one line of JSON. Then it stays until its standard input ends, so that the test can see what
// became of a call that was aborted.

export const origin = process.argv[2];
export const kind = process.argv[3];
export const CAPITAL = 'What is the capital of France?';
export const STATUSES = [400, 401, 429, 500];

export async function tell(scenes) {
  const said = {};
  for (const [name, scene] of Object.entries(scenes)) {
    try {
      said[name] = await scene();
    } catch (error) {
      said[name] = { failed: `${error?.name}: ${error?.message}` };
    }
  }
  process.stdout.write(`${JSON.stringify(said)}\n`);
  process.stdin.on('end', () => process.exit(0)).resume();
}
