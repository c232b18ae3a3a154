// The conversation that VS Code's Jupyter extension has with a local kernel, message for message, as
// its sources have it: launch, kernel_info on control and shell until a reply and a broadcast came,
// silent start-up code, comms, cells, completions, input, interrupt, restart, end. VS Code is not run.
//
//     node conversation.js KERNEL_JSON
//
// Prints one JSON object: what was heard in each step, for test_vscode.py to compare.

'use strict';

const crypto = require('node:crypto');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { spawn } = require('node:child_process');
const { once } = require('node:events');

const { KernelMessage, ServerConnection } = require('@jupyterlab/services');
const { KernelConnection } = require('@jupyterlab/services/lib/kernel/default');
const { rawSocketClass } = require('./raw_socket.js');

const ASK_AGAIN_MS = 500;
const LAUNCH_MS = 60_000;
const END_MS = 10_000;

const heard = {};
const broken = [];

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

async function within(ms, promise, what) {
  let timer;
  const limit = new Promise((_, fail) => {
    timer = setTimeout(() => fail(new Error(`${what} took more than ${ms} ms`)), ms);
  });
  return Promise.race([promise, limit]).finally(() => clearTimeout(timer));
}

// Below those that the system gives to clients, which would take one before the kernel binds it.
const PORTS = [16_000, 32_000];
const given = new Set();

/** A port that was free a moment ago, and that this process has given to no other kernel. */
async function freePort() {
  for (;;) {
    const port = crypto.randomInt(...PORTS);
    if (given.has(port)) continue;
    const server = net.createServer();
    const listens = new Promise((done) => {
      server.once('listening', () => server.close(() => done(true)));
      server.once('error', () => done(false));
    });
    server.listen(port, '127.0.0.1');
    if (!(await listens)) continue;
    given.add(port);
    return port;
  }
}

/** Whether a port takes connections: one is made and left at once, as the extension does. */
function isUsed(port) {
  return new Promise((done) => {
    const probe = net.connect(port, '127.0.0.1');
    probe.once('connect', () => (probe.destroy(), done(true)));
    probe.once('error', () => done(false));
  });
}

class Kernel {
  constructor(argv, folder) {
    this.argv = argv;
    this.folder = folder;
  }

  async launch() {
    const shell = await freePort();
    const connection = {
      control_port: await freePort(),
      hb_port: await freePort(),
      iopub_port: await freePort(),
      shell_port: shell,
      stdin_port: await freePort(),
      ip: '127.0.0.1',
      key: crypto.randomUUID(),
      kernel_name: 'aikit',
      signature_scheme: 'hmac-sha256',
      transport: 'tcp',
    };
    const file = path.join(this.folder, `kernel-v2-${process.pid}-${crypto.randomUUID()}.json`);
    fs.writeFileSync(file, JSON.stringify(connection), { mode: 0o600 });
    const [program, ...args] = this.argv.map((it) => it.replace('{connection_file}', file));
    this.process = spawn(program, args, { cwd: this.folder, stdio: ['ignore', 'pipe', 'pipe'] });
    this.stderr = '';
    this.process.stderr.on('data', (data) => (this.stderr += data));
    this.process.stdout.resume();
    this.exited = once(this.process, 'exit');
    const deadline = Date.now() + LAUNCH_MS;
    while (!(await isUsed(shell))) {
      if (Date.now() > deadline || this.process.exitCode !== null) {
        throw new Error(`the kernel does not listen: ${this.stderr}`);
      }
      await sleep(10);
    }
    this.connect(connection);
    await this.ready();
  }

  connect(connection) {
    const WebSocket = rawSocketClass(connection, broken);
    const same = (data) => data;
    const serverSettings = ServerConnection.makeSettings({
      WebSocket,
      wsUrl: 'RAW',
      serializer: { serialize: same, deserialize: same },
    });
    const id = crypto.randomUUID();
    this.real = new KernelConnection({
      serverSettings,
      clientId: crypto.randomUUID(),
      username: crypto.randomUUID(),
      handleComms: true,
      model: { id, name: 'aikit' },
    });
    this.socket = WebSocket.last;
    this.statuses = [];
    this.real.statusChanged.connect((_, status) => this.statuses.push(status));
    this.socket.open();
  }

  create(msgType, channel) {
    return KernelMessage.createMessage({
      msgType,
      channel,
      username: this.real.username,
      session: this.real.clientId,
      content: {},
    });
  }

  /** Asks on both channels until one replied and a broadcast came. */
  async ready() {
    let broadcast;
    let replied;
    const gotBroadcast = new Promise((done) => (broadcast = done));
    const gotReply = new Promise((done) => (replied = done));
    const handler = () => broadcast(true);
    this.real.iopubMessage.connect(handler);
    const both = Promise.all([gotBroadcast, gotReply]).then(() => true);
    for (this.attempts = 1; ; this.attempts += 1) {
      const message = this.create('kernel_info_request', 'control');
      this.real.sendControlMessage(message, true, true).done.then(replied, () => {});
      this.real.requestKernelInfo().then(replied, () => {});
      if (await Promise.race([both, sleep(ASK_AGAIN_MS)])) {
        break;
      }
      if (this.attempts * ASK_AGAIN_MS > LAUNCH_MS) {
        throw new Error('the kernel does not answer');
      }
    }
    this.real.iopubMessage.disconnect(handler);
  }

  /** Runs code; resolves with its reply and an outline of its broadcasts. */
  async execute(code, options = {}, onStdin = undefined) {
    const content = { code, silent: false, stop_on_error: false, allow_stdin: true, ...options };
    const future = this.real.requestExecute({ store_history: true, ...content }, false, {
      cellId: crypto.randomUUID(),
    });
    const outline = [];
    future.onIOPub = (message) => outline.push(line(message));
    if (onStdin) {
      future.onStdin = onStdin;
    }
    const reply = await within(LAUNCH_MS, future.done, `\`${code}\``);
    future.dispose();
    const { status, execution_count: count, ename } = reply.content;
    return { reply: ename ? { status, count, ename } : { status, count }, outline };
  }

  executeSilently(code) {
    return this.execute(code, { store_history: false });
  }

  /** Over shell, though the protocol says control. */
  async interrupt() {
    const message = this.create('interrupt_request', 'shell');
    const reply = await within(
      END_MS,
      this.real.sendShellMessage(message, true, true).done,
      'an interrupt',
    );
    return reply.header.msg_type;
  }

  /** Ends the process without asking it; leaves the sockets. */
  async dispose() {
    this.process.kill();
    const [status, signal] = await within(END_MS, this.exited, 'the end');
    this.socket.close();
    this.real.dispose();
    return { status, signal, stderr: this.stderr };
  }
}

function line({ header, content }) {
  switch (header.msg_type) {
    case 'status':
      return content.execution_state;
    case 'stream':
      return `${content.name}: ${content.text}`;
    case 'execute_result':
    case 'display_data':
    case 'update_display_data':
      return `${header.msg_type}: ${content.data['text/plain']}`;
    default:
      return header.msg_type;
  }
}

/** Starts a cell and resolves, when it printed, with what will be heard of it. */
function start(kernel, code) {
  return new Promise((begun) => {
    const handler = (_, message) => {
      if (message.header.msg_type === 'stream' && message.content.text.includes('begun')) {
        kernel.real.iopubMessage.disconnect(handler);
        begun({ result });
      }
    };
    kernel.real.iopubMessage.connect(handler);
    const result = kernel.execute(`print('begun') ${code}`);
  });
}

async function converse(kernel) {
  await kernel.launch();
  const info = await kernel.real.info;
  heard.info = {
    status: info.status,
    implementation: info.implementation,
    protocol: info.protocol_version,
    language: info.language_info.name,
    extension: info.language_info.file_extension,
  };

  heard.startup = await kernel.executeSilently('started = true');
  heard.startup_failure = await kernel.executeSilently('import os\nos.environ');
  kernel.real.registerCommTarget('jupyter.widget', () => {});
  const comms = await kernel.real.requestCommInfo({ target_name: 'jupyter.widget' });
  heard.comms = comms.content;

  heard.cell = await kernel.execute("print('hello') io.stderr:write('oops') return 6 * 7");
  heard.display = await kernel.execute(
    "local shown = display({['text/plain'] = 'one'}) shown:update({['text/plain'] = 'two'})",
  );
  heard.error = await kernel.execute('error({})');
  heard.queue = await Promise.all(
    ["print('a')", 'error("b")', "print('c')", 'started'].map((it) => kernel.execute(it)),
  );

  heard.input = await kernel.execute("print('hello ' .. input('Who? '))", {}, (message) => {
    heard.question = message.content;
    kernel.real.sendInputReply({ status: 'ok', value: 'Ada' }, message.header);
  });

  const running = await start(kernel, 'while true do end');
  const completions = await kernel.real.requestComplete({ code: 'coroutine.yi', cursor_pos: 12 });
  heard.completion = completions.content.matches;
  const inspected = await kernel.real.requestInspect({
    code: 'print',
    cursor_pos: 5,
    detail_level: 0,
  });
  heard.inspection = { status: inspected.content.status, found: inspected.content.found };
  heard.interrupt = await kernel.interrupt();
  heard.interrupted = await running.result;
  heard.after_interrupt = await kernel.execute('started');

  // A hundred cells while the one before them runs, as `Run All` sends them.
  const all = Array.from({ length: 100 }, (_, index) => kernel.execute(`return ${index}`));
  heard.run_all = (await Promise.all(all)).map((it) => it.outline[2]);

  // A restart is another process, with other ports.
  heard.end_before_restart = await kernel.dispose();
  await kernel.launch();
  heard.after_restart = await kernel.execute('return started');
  heard.attempts = kernel.attempts;
  heard.statuses = [...new Set(kernel.statuses)].sort();

  // The other way to end a kernel: a message, then the process is waited for.
  const shutdown = KernelMessage.createMessage({
    msgType: 'shutdown_request',
    channel: 'control',
    username: kernel.real.username,
    session: kernel.real.clientId,
    content: { restart: false },
  });
  const reply = await kernel.real.sendControlMessage(shutdown, true, true).done;
  heard.shutdown = reply.content;
  const [status] = await within(END_MS, kernel.exited, 'the shutdown');
  heard.exit_status = status;
  heard.last_stderr = kernel.stderr;
  kernel.socket.close();
  kernel.real.dispose();
}

async function main() {
  // Standard output is for the result alone.
  console.debug = console.log = console.error;
  const { argv } = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'aikit-vscode-'));
  const kernel = new Kernel(argv, folder);
  try {
    await converse(kernel);
    process.stdout.write(JSON.stringify({ heard, broken }));
  } finally {
    kernel.process?.kill('SIGKILL');
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

main().then(
  () => process.exit(0),
  (error) => {
    process.stderr.write(`${error.stack}\n${JSON.stringify({ heard, broken })}\n`);
    process.exit(1);
  },
);
