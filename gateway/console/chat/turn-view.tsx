import { answerText } from '#mesh/answer/answer-text.ts';
import { parseAction } from '#mesh/answer/phone-action.ts';
import { hasKey, serverOrigin } from '../client/api.ts';
import { CopyButton } from '../parts/copy-button.tsx';
import { Icon } from '../parts/icon.tsx';
import { useText } from '../text/language.tsx';
import { durationText, numberText } from '../text/quantities.ts';
import { ActionView } from './action-view.tsx';
import { tokenRate } from './answer.ts';
import { AttachmentView } from './attachment-view.tsx';
import {
  type AnswerTurn,
  type ChatOptions,
  screenshotBefore,
  type Turn,
  type UserTurn,
} from './conversation.ts';
import { chatSnippets, type Snippets, transcriptionSnippets } from './snippets.ts';

export function UserTurnView({ turn }: { readonly turn: UserTurn }) {
  const say = useText();
  return (
    <li class="turn user">
      <h3 class="unseen">{say('you')}</h3>
      {turn.attachments.map((file) => (
        <AttachmentView key={file} file={file} />
      ))}
      {turn.text !== '' && <p class="words">{turn.text}</p>}
      {turn.isTranscription && <p class="words muted">{say('writeDown')}</p>}
    </li>
  );
}

export interface AnswerViewProps {
  readonly turns: readonly Turn[];
  /** Index of the answer among the turns. */
  readonly index: number;
  readonly turn: AnswerTurn;
  readonly options: ChatOptions;
  /** Asks again; undefined if it is not the last answer. */
  readonly onRepeat: (() => void) | undefined;
}

export function AnswerView({ turns, index, turn, options, onRepeat }: AnswerViewProps) {
  const say = useText();
  const isRunning = turn.end === 'running';
  const { thoughts, words } = answerText(turn.content, { isUnfinished: turn.end !== 'stop' });
  const reasoning = [turn.reasoning, thoughts].filter((text) => text !== '').join('\n\n');
  const action = parseAction(words);
  const snippets = () => snippetsOf(turns.slice(0, index), options);
  return (
    <li class="turn answer">
      <h3 class="unseen">{say('model')}</h3>
      {reasoning !== '' && <Reasoning text={reasoning} />}
      {action !== undefined && (
        <ActionView action={action} screenshot={screenshotBefore(turns, index)} words={words} />
      )}
      {action === undefined && words !== '' && <p class="words">{words}</p>}
      {isRunning && words === '' && <p class="waiting" aria-hidden="true" />}
      {turn.end === 'stop' && words === '' && <p class="muted">{say('endEmpty')}</p>}
      {turn.end === 'failed' && (
        <p class="problem" role="alert">
          {say('endFailed', { reason: turn.error })}
        </p>
      )}
      {!isRunning && (
        <footer class="turn-foot">
          <Figures turn={turn} />
          <span class="row">
            {onRepeat !== undefined && (
              <button type="button" class="quiet small" onClick={onRepeat}>
                <Icon name="repeat" />
                {say('retry')}
              </button>
            )}
            <CopyButton label={say('copyCurl')} text={() => snippets().curl} />
            <CopyButton label={say('copyPython')} text={() => snippets().python} />
          </span>
        </footer>
      )}
    </li>
  );
}

/** Thoughts, folded away: one line that opens. */
function Reasoning({ text }: { readonly text: string }) {
  const say = useText();
  return (
    <details class="reasoning">
      <summary>
        <Icon name="chevron" />
        {say('reasoning')}
      </summary>
      <p>{text}</p>
    </details>
  );
}

function Figures({ turn }: { readonly turn: AnswerTurn }) {
  const say = useText();
  const rate = tokenRate(turn);
  const figures = [
    turn.end === 'length' ? say('endLength') : undefined,
    turn.end === 'stopped' ? say('endStopped') : undefined,
    turn.ttftMs === undefined ? undefined : say('firstToken', { ms: durationText(turn.ttftMs) }),
    turn.numTokens === undefined ? undefined : say('tokens', { count: turn.numTokens }),
    rate === undefined ? undefined : say('rate', { count: numberText(rate) }),
  ];
  return <p class="muted">{figures.filter((one) => one !== undefined).join(' · ')}</p>;
}

function snippetsOf(turns: readonly Turn[], options: ChatOptions): Snippets {
  const place = { origin: serverOrigin(), needsKey: hasKey() };
  const question = turns.at(-1);
  const recording =
    question?.role === 'user' && question.isTranscription ? question.attachments[0] : undefined;
  return recording === undefined
    ? chatSnippets(turns, options, place)
    : transcriptionSnippets(recording, options.model, place);
}
