// What VS Code's Jupyter extension gives to `KernelConnection` of @jupyterlab/services in place of a
// WebSocket: four ZeroMQ sockets of one routing id, over which messages are signed and framed here.

'use strict';

const crypto = require('node:crypto');
const zmq = require('zeromq');

const DELIMITER = '<IDS|MSG>';
const UNBOUNDED = { maxMessageSize: -1, receiveHighWaterMark: 0 };

function sign(key, parts) {
  const mac = crypto.createHmac('sha256', key);
  parts.forEach((part) => mac.update(part));
  return mac.digest('hex');
}

/** Frames of a message of @jupyterlab/services. */
function encode(message, key) {
  const parts = [message.header, message.parent_header, message.metadata, message.content].map(
    (it) => JSON.stringify(it ?? {}),
  );
  const buffers = (message.buffers ?? []).map((it) =>
    Buffer.from(it.buffer ?? it, it.byteOffset ?? 0, it.byteLength),
  );
  return [DELIMITER, sign(key, parts), ...parts, ...buffers];
}

/** A message of @jupyterlab/services; throws when its signature is wrong. */
function decode(frames, key, channel) {
  const begin = frames.findIndex((it) => it.toString() === DELIMITER);
  const parts = frames.slice(begin + 2, begin + 6);
  if (sign(key, parts) !== frames[begin + 1].toString()) {
    throw new Error('a message has a wrong signature');
  }
  const [header, parent_header, metadata, content] = parts.map((it) => JSON.parse(it.toString()));
  const buffers = frames.slice(begin + 6).map((it) => new DataView(Uint8Array.from(it).buffer));
  return { channel, header, parent_header, metadata, content, buffers };
}

/** A class of sockets for the kernel of a connection file; `broken` collects what cannot be read. */
function rawSocketClass(connection, broken) {
  const address = (channel) =>
    `${connection.transport}://${connection.ip}` +
    `${connection.transport === 'tcp' ? ':' : '-'}${connection[`${channel}_port`]}`;

  return class RawSocket {
    constructor() {
      this.protocol = '';
      this.isClosed = false;
      const routingId = crypto.randomUUID();
      const dealer = () => new zmq.Dealer({ routingId, sendHighWaterMark: 0, ...UNBOUNDED });
      this.channels = {
        iopub: new zmq.Subscriber(UNBOUNDED),
        shell: dealer(),
        control: dealer(),
        stdin: dealer(),
      };
      this.sending = Promise.resolve();
      for (const [channel, socket] of Object.entries(this.channels)) {
        socket.linger = 0;
        socket.connect(address(channel));
        void this.read(channel, socket);
      }
      this.channels.iopub.subscribe();
      RawSocket.last = this;
    }

    async read(channel, socket) {
      for await (const frames of socket) {
        if (this.isClosed) {
          return;
        }
        try {
          this.onmessage({ data: decode(frames, connection.key, channel), target: this });
        } catch (error) {
          broken.push(`${channel}: ${error.message}`);
        }
      }
    }

    send(message) {
      const frames = encode(message, connection.key);
      // One after the other: a socket of this library sends one message at a time.
      this.sending = this.sending.then(() => this.channels[message.channel].send(frames));
    }

    open() {
      this.onopen({ target: this });
    }

    close() {
      this.isClosed = true;
      Object.values(this.channels).forEach((it) => it.close());
    }
  };
}

module.exports = { rawSocketClass };
