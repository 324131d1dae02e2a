import speechDouyin from '../../../deploy/models/phone-nano/media/audio64.wav';
import speechWallet from '../../../deploy/models/phone-nano/media/audio67.wav';
import speechMaps from '../../../deploy/models/phone-nano/media/audio107.wav';
import speechCalculator from '../../../deploy/models/phone-nano/media/audio109.wav';
import screenCamera from '../../../deploy/models/phone-nano/media/image0.png';
import screenTaobao from '../../../deploy/models/phone-nano/media/image3.png';
import screenDouyin from '../../../deploy/models/phone-nano/media/image4.png';
import screenApps from '../../../deploy/models/phone-nano/media/image31.png';

/** Something to try, as the demo model phone-nano knows it. */
export interface Sample {
  /** What is asked with it; if it is spoken, only shown. */
  readonly text: string;
  readonly screenUrl: string | undefined;
  readonly speechUrl: string | undefined;
  readonly isTranscription: boolean;
}

const plain = { screenUrl: undefined, speechUrl: undefined, isTranscription: false };

export const SCREEN_SAMPLES: readonly Sample[] = [
  { ...plain, text: 'can you open Camera', screenUrl: screenCamera },
  { ...plain, text: '打开淘宝', screenUrl: screenTaobao },
  { ...plain, text: 'open Douyin', screenUrl: screenDouyin, speechUrl: speechDouyin },
  { ...plain, text: '屏幕上有哪些应用？', screenUrl: screenApps },
];

export const SPEECH_SAMPLES: readonly Sample[] = [
  { ...plain, text: 'open Calculator', speechUrl: speechCalculator },
  { ...plain, text: 'open Maps', speechUrl: speechMaps, isTranscription: true },
  { ...plain, text: '打开钱包', speechUrl: speechWallet, isTranscription: true },
];

export const TEXT_SAMPLES: readonly Sample[] = [
  { ...plain, text: '你是谁?' },
  { ...plain, text: 'What can you do?' },
  { ...plain, text: '打开微信' },
];

/** Fetches a sample's file. */
export async function sampleFile(url: string): Promise<File> {
  const response = await fetch(url);
  const blob = await response.blob();
  const name = new URL(response.url).pathname.split('/').at(-1) ?? 'sample';
  // The build has put a hash of the content into the name.
  return new File([blob], name.replace(/-[\w-]{8}\./, '.'), { type: blob.type });
}
