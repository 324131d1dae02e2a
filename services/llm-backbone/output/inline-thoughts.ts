import type { Emit, OutputPiece, OutputStage } from './output-stage.ts';

/**
 * Joins thoughts to the content again, for answers that show them as the model wrote them. They are
 * told apart only so that no call is read in them.
 */
export class InlineThoughts implements OutputStage {
  push(piece: OutputPiece, emit: Emit): void {
    emit(piece.channel === 'reasoning' ? { channel: 'content', text: piece.text } : piece);
  }

  flush(): void {}
}
