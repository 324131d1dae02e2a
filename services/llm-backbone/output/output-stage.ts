import type { SequenceEnd } from '#backbone/engine/sequence.ts';

export type TextChannel = 'content' | 'reasoning';

/** Text of one channel, never empty. */
export interface TextPiece {
  readonly channel: TextChannel;
  readonly text: string;
}

/** Text of the arguments of a call, JSON; it is empty only in the first piece of a call. */
export interface CallPiece {
  readonly channel: 'tool_call';
  readonly text: string;
  readonly call: {
    /** Index of the call in its answer. */
    readonly index: number;
    /** Name of the tool in the first piece of the call, otherwise undefined. */
    readonly name: string | undefined;
  };
}

export type OutputPiece = TextPiece | CallPiece;

/** Why a choice ended. */
export type ChoiceEnd = SequenceEnd | { readonly reason: 'stop'; readonly stopString: string };

/** Takes a piece of text that a stage has finished. */
export type Emit = (piece: OutputPiece) => void;

/**
 * One step that turns the token ids of an answer into deltas. The text a stage emits depends only
 * on what was pushed, so a resume rebuilds it from the delivered ids. A stage emits during the
 * call, and may hold back text until it knows how to classify it.
 */
export interface OutputStage<Piece = OutputPiece> {
  /** Takes a piece and emits the text that is certain after it. */
  push(piece: Piece, emit: Emit): void;
  /** Emits the text that was held back. Called once, when the answer has ended. */
  flush(emit: Emit): void;
  /** Set once this stage has found the end of the answer; it emits no text after that. */
  readonly end?: ChoiceEnd | null;
  /** Added tokens that must reach this stage as text, even if the tokenizer calls them special. */
  readonly tags?: readonly string[];
}

/** Token ids enter the first stage; each other stage takes what the one before it emits. */
export type OutputStages = readonly [OutputStage<number>, ...OutputStage[]];
