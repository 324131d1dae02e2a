import { useRef } from 'preact/hooks';
import { Icon } from '../parts/icon.tsx';
import { useText } from '../text/language.tsx';
import { type Sample, SCREEN_SAMPLES, SPEECH_SAMPLES, TEXT_SAMPLES } from './samples.ts';

export interface SampleListProps {
  readonly takesImages: boolean;
  readonly takesAudio: boolean;
  readonly onSample: (sample: Sample) => void;
}

/** What a new conversation offers to try. */
export function SampleList({ takesImages, takesAudio, onSample }: SampleListProps) {
  const say = useText();
  const screens = SCREEN_SAMPLES.filter(({ speechUrl }) => takesAudio || speechUrl === undefined);
  return (
    <div class="samples">
      {takesImages && (
        <section aria-labelledby="samples-screens">
          <h3 id="samples-screens">{say('sampleScreens')}</h3>
          <ul class="sample-screens">
            {screens.map((sample) => (
              <li key={sample.text}>
                <button type="button" class="sample-screen" onClick={() => onSample(sample)}>
                  <img src={sample.screenUrl} alt="" loading="lazy" />
                  <span>
                    {sample.speechUrl === undefined ? (
                      sample.text
                    ) : (
                      <>
                        <Icon name="microphone" />
                        {say('sampleSpoken', { text: sample.text })}
                      </>
                    )}
                  </span>
                </button>
              </li>
            ))}
          </ul>
        </section>
      )}
      {takesAudio && (
        <section aria-labelledby="samples-voices">
          <h3 id="samples-voices">{say('sampleVoices')}</h3>
          <ul class="sample-voices">
            {SPEECH_SAMPLES.map((sample) => (
              <SpeechSample key={sample.text} sample={sample} onSample={onSample} />
            ))}
          </ul>
        </section>
      )}
      <section aria-labelledby="samples-texts">
        <h3 id="samples-texts">{say('sampleTexts')}</h3>
        <ul class="sample-texts">
          {TEXT_SAMPLES.map((sample) => (
            <li key={sample.text}>
              <button type="button" class="chip" onClick={() => onSample(sample)}>
                {sample.text}
              </button>
            </li>
          ))}
        </ul>
      </section>
    </div>
  );
}

interface SpeechSampleProps {
  readonly sample: Sample;
  readonly onSample: (sample: Sample) => void;
}

function SpeechSample({ sample, onSample }: SpeechSampleProps) {
  const say = useText();
  const player = useRef<HTMLAudioElement>(null);
  const { text, speechUrl, isTranscription } = sample;
  const play = () => {
    // A browser may refuse to play; then nothing is heard.
    player.current?.play().catch(() => {});
  };
  return (
    <li class="sample-voice">
      {/* biome-ignore lint/a11y/useMediaCaption: its words stand beside it. */}
      <audio ref={player} src={speechUrl} preload="none" />
      <button type="button" class="quiet" aria-label={say('playSample', { text })} onClick={play}>
        <Icon name="play" />
      </button>
      <button type="button" class="chip" onClick={() => onSample(sample)}>
        {say('sampleSpoken', { text })}
        {isTranscription && <small class="muted">{say('writeDown')}</small>}
      </button>
    </li>
  );
}
