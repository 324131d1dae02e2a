import { ServerInterceptingCall, type ServerInterceptor } from '@grpc/grpc-js';

/**
 * Sends a message of a call. `onSent` is called when the connection has taken it; never, if the call has
 * ended, of which the call's signal tells.
 */
export type SendMessage<Message> = (message: Message, onSent: () => void) => void;

/** Senders of streaming calls by the first message of each, which its handler is given too. */
const senders = new WeakMap<object, SendMessage<unknown>>();

/** Notes how messages of a streaming call are sent, for `senderOf`. */
export const noteSenders: ServerInterceptor = ({ requestStream, responseStream }, call) => {
  if (!requestStream || !responseStream) return new ServerInterceptingCall(call);
  let isFirst = true;
  return new ServerInterceptingCall(call, {
    start: (next) =>
      next({
        onReceiveMessage: (message: object, pass) => {
          if (isFirst) senders.set(message, (sent, onSent) => call.sendMessage(sent, onSent));
          isFirst = false;
          pass(message);
        },
      }),
  });
};

/**
 * Returns how messages are sent in the call that began with `first`, past the generators of nice-grpc
 * and the stream of grpc-js, which take a tenth of what a token costs the event loop. The handler sends
 * one message after another, yields none, and ends the call as any other does. Undefined if the message
 * came by no server, or is asked for again: a call is not to outlive its end for its first message.
 */
export function senderOf<Message>(first: object): SendMessage<Message> | undefined {
  const send = senders.get(first);
  senders.delete(first);
  return send;
}
