import { useEffect, useState } from 'preact/hooks';
import { ApiError, askJson } from '../client/api.ts';
import { readSetting, writeSetting } from '../client/settings.ts';
import { Icon } from '../parts/icon.tsx';
import { useText } from '../text/language.tsx';
import { readAttachment } from './attachments.ts';
import { Composer } from './composer.tsx';
import type { Attachment, ChatOptions } from './conversation.ts';
import { useFollowedEnd } from './follow-end.ts';
import { HistoryDialog } from './history-dialog.tsx';
import { OptionsDialog } from './options-dialog.tsx';
import { SampleList } from './sample-list.tsx';
import { type Sample, sampleFile } from './samples.ts';
import { AnswerView, UserTurnView } from './turn-view.tsx';
import { useChat } from './use-chat.ts';

/** A model as `/v1/models` describes it. */
interface ModelFacts {
  readonly id: string;
  readonly architecture: { readonly input_modalities: readonly string[] };
}

const DEFAULTS: ChatOptions = {
  model: '',
  system: '',
  isThinking: true,
  temperature: 0,
  maxTokens: undefined,
};

export interface ChatViewProps {
  /** Whether the gateway can answer; models are asked for again when it can. */
  readonly isReady: boolean;
  /** Another number with another key. */
  readonly session: number;
  readonly onKeyNeeded: () => void;
}

/** A conversation with a model. */
export function ChatView({ isReady, session, onKeyNeeded }: ChatViewProps) {
  const say = useText();
  const chat = useChat(onKeyNeeded);
  const models = useModels(isReady, session, onKeyNeeded);
  const [chosen, setChosen] = useState(readOptions);
  const [dialog, setDialog] = useState<'history' | 'options'>();

  const model = models.find(({ id }) => id === chosen.model) ?? models[0];
  const options = { ...chosen, model: model?.id ?? chosen.model };
  const takes = (modality: string) =>
    model?.architecture.input_modalities.includes(modality) ?? true;
  const { turns } = chat.conversation;
  const last = turns.at(-1);

  const end = useFollowedEnd(turns);

  const choose = (next: ChatOptions) => {
    setChosen(next);
    writeSetting('chat-options', JSON.stringify(next));
  };
  const askSample = async (sample: Sample) => {
    const attachments = await sampleAttachments(sample);
    const { speechUrl, text, isTranscription } = sample;
    const words = speechUrl === undefined ? text : '';
    chat.ask({ role: 'user', text: words, attachments, isTranscription }, options);
  };

  return (
    <div class="chat">
      <div class="toolbar">
        <h2 class="unseen">{say('chat')}</h2>
        <button type="button" class="quiet" onClick={() => setDialog('history')}>
          <Icon name="history" />
          <span class="wide">{say('history')}</span>
        </button>
        {turns.length > 0 && (
          <button type="button" class="quiet" onClick={chat.begin}>
            <Icon name="plus" />
            <span>{say('newChat')}</span>
          </button>
        )}
        <button
          type="button"
          class="quiet push"
          aria-label={`${say('options')}: ${options.model}`}
          onClick={() => setDialog('options')}
        >
          <span class="model-name">{options.model}</span>
          <Icon name="options" />
        </button>
      </div>
      {turns.length === 0 ? (
        <div class="welcome">
          <p class="welcome-title">{say('chatTitle')}</p>
          <p class="muted">{say('chatIntro')}</p>
          <SampleList
            takesImages={takes('image')}
            takesAudio={takes('audio')}
            onSample={(sample) => void askSample(sample)}
          />
        </div>
      ) : (
        <ol class="turns" aria-label={say('conversation')}>
          {turns.map((turn, index) =>
            turn.role === 'user' ? (
              <UserTurnView key={index} turn={turn} />
            ) : (
              <AnswerView
                key={index}
                turns={turns}
                index={index}
                turn={turn}
                options={options}
                onRepeat={
                  index === turns.length - 1 && !chat.isRunning
                    ? () => chat.repeat(options)
                    : undefined
                }
              />
            ),
          )}
        </ol>
      )}
      <div ref={end} class="end-of-turns" />
      <p class="unseen" role="status">
        {chat.isRunning ? say('answering') : last?.role === 'assistant' ? say('answered') : ''}
      </p>
      <Composer
        isRunning={chat.isRunning}
        takesImages={takes('image')}
        takesAudio={takes('audio')}
        onSend={(turn) => chat.ask(turn, options)}
        onStop={chat.stop}
      />
      {dialog === 'history' && <HistoryDialog chat={chat} onClose={() => setDialog(undefined)} />}
      {dialog === 'options' && (
        <OptionsDialog
          options={options}
          models={models.map(({ id }) => id)}
          onChange={choose}
          onClose={() => setDialog(undefined)}
        />
      )}
    </div>
  );
}

/** Asks for the models whenever the gateway has become ready, or the key has changed. */
function useModels(
  isReady: boolean,
  session: number,
  onKeyNeeded: () => void,
): readonly ModelFacts[] {
  const [models, setModels] = useState<readonly ModelFacts[]>([]);
  useEffect(() => {
    if (!isReady) return;
    askJson<{ readonly data: readonly ModelFacts[] }>('v1/models').then(
      ({ data }) => setModels(data),
      (error: unknown) => {
        // What else is wrong stands in the header; the last models stay.
        if (error instanceof ApiError && error.isAboutKey) onKeyNeeded();
      },
    );
  }, [isReady, session]);
  return models;
}

function readOptions(): ChatOptions {
  try {
    const kept: Partial<ChatOptions> = JSON.parse(readSetting('chat-options') ?? '{}');
    return { ...DEFAULTS, ...kept };
  } catch {
    return DEFAULTS;
  }
}

async function sampleAttachments({ screenUrl, speechUrl }: Sample): Promise<Attachment[]> {
  const urls = [screenUrl, speechUrl].filter((url) => url !== undefined);
  const files = await Promise.all(urls.map(sampleFile));
  const read = await Promise.all(files.map(readAttachment));
  return read.filter((one) => typeof one === 'object');
}
