import { useEffect, useState } from 'preact/hooks';
import { ChatView } from './chat/chat-view.tsx';
import { forgetKey, hasKey, setKey } from './client/api.ts';
import { useHealth } from './client/health.ts';
import { readSetting, writeSetting } from './client/settings.ts';
import { MeshView } from './mesh/mesh-view.tsx';
import { Icon, type IconName } from './parts/icon.tsx';
import { KeyDialog } from './parts/key-dialog.tsx';
import { isStateName, State } from './parts/state.tsx';
import { RequestsView } from './requests/requests-view.tsx';
import { Language, type LanguageCode, preferredLanguage, useText } from './text/language.tsx';

const CONTENT_ID = 'content';

const VIEWS = ['chat', 'mesh', 'requests'] as const;
type ViewName = (typeof VIEWS)[number];

const THEMES = ['auto', 'light', 'dark'] as const;
type Theme = (typeof THEMES)[number];

const THEME_TEXTS = { auto: 'themeAuto', light: 'themeLight', dark: 'themeDark' } as const;

/** The whole page, in the chosen language. */
export function App() {
  const [code, setCode] = useState<LanguageCode>(keptLanguage);
  useEffect(() => {
    document.documentElement.lang = code === 'zh' ? 'zh-CN' : 'en';
  }, [code]);
  const toggle = () => {
    const next = code === 'en' ? 'zh' : 'en';
    writeSetting('language', next);
    setCode(next);
  };
  return (
    <Language.Provider value={code}>
      <Page onLanguage={toggle} />
    </Language.Provider>
  );
}

function keptLanguage(): LanguageCode {
  const kept = readSetting('language');
  return kept === 'en' || kept === 'zh' ? kept : preferredLanguage(navigator.languages);
}

function Page({ onLanguage }: { readonly onLanguage: () => void }) {
  const say = useText();
  const view = useView();
  const health = useHealth();
  const [keyDialog, setKeyDialog] = useState<'asked' | 'refused'>();
  // Another number with another key: what needs one asks again.
  const [session, setSession] = useState(0);
  const refuseKey = () => setKeyDialog('refused');
  const useKey = (change: () => void) => {
    change();
    setKeyDialog(undefined);
    setSession((number) => number + 1);
  };
  useEffect(() => {
    document.title = `${say(view)} · autoglm-mesh`;
  });
  return (
    <>
      <SkipLink />
      <header class="top">
        <h1>
          autoglm<span class="name-end">-mesh</span>
        </h1>
        <Navigation view={view} />
        <div class="top-end">
          <State state={isStateName(health) ? health : 'unknown'} />
          {hasKey() && (
            <button
              type="button"
              class="quiet"
              aria-label={say('key')}
              onClick={() => setKeyDialog('asked')}
            >
              <Icon name="key" />
            </button>
          )}
          <button
            type="button"
            class="quiet"
            aria-label={say('switchLanguage')}
            onClick={onLanguage}
          >
            {say('otherLanguage')}
          </button>
          <ThemeButton />
        </div>
      </header>
      <main id={CONTENT_ID} tabIndex={-1}>
        {/* It stays while another view is seen, so that an answer goes on. */}
        <div hidden={view !== 'chat'}>
          <ChatView
            isReady={health === 'ready' || health === 'degraded'}
            session={session}
            onKeyNeeded={refuseKey}
          />
        </div>
        {view === 'mesh' && <MeshView key={session} onKeyNeeded={refuseKey} />}
        {view === 'requests' && <RequestsView key={session} onKeyNeeded={refuseKey} />}
      </main>
      {keyDialog !== undefined && (
        <KeyDialog
          isWrong={keyDialog === 'refused' && hasKey()}
          hasKey={hasKey()}
          onKey={(key, options) => useKey(() => setKey(key, options))}
          onForget={() => useKey(forgetKey)}
          onClose={() => setKeyDialog(undefined)}
        />
      )}
    </>
  );
}

/** Brings the keyboard past the head of the page; the address names the view, so it stays. */
function SkipLink() {
  const say = useText();
  const skip = (event: Event) => {
    event.preventDefault();
    document.getElementById(CONTENT_ID)?.focus();
  };
  return (
    <a class="skip" href={`#${CONTENT_ID}`} onClick={skip}>
      {say('skip')}
    </a>
  );
}

const VIEW_ICONS: Readonly<Record<ViewName, IconName>> = {
  chat: 'chat',
  mesh: 'mesh',
  requests: 'requests',
};

function Navigation({ view }: { readonly view: ViewName }) {
  const say = useText();
  return (
    <nav aria-label={say('views')}>
      {VIEWS.map((name) => (
        <a key={name} href={`#/${name}`} aria-current={name === view ? 'page' : undefined}>
          <Icon name={VIEW_ICONS[name]} />
          {say(name)}
        </a>
      ))}
    </nav>
  );
}

/** Follows the view that the address names: the chat if it names none. */
function useView(): ViewName {
  const [view, setView] = useState(viewInAddress);
  useEffect(() => {
    const follow = () => setView(viewInAddress());
    addEventListener('hashchange', follow);
    return () => removeEventListener('hashchange', follow);
  }, []);
  return view;
}

function viewInAddress(): ViewName {
  return VIEWS.find((name) => location.hash === `#/${name}`) ?? 'chat';
}

function ThemeButton() {
  const say = useText();
  const [theme, setTheme] = useState<Theme>(() => {
    const kept = readSetting('theme');
    return THEMES.find((one) => one === kept) ?? 'auto';
  });
  useEffect(() => {
    if (theme === 'auto') delete document.documentElement.dataset['theme'];
    else document.documentElement.dataset['theme'] = theme;
    writeSetting('theme', theme === 'auto' ? undefined : theme);
  }, [theme]);
  const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? 'auto';
  return (
    <button
      type="button"
      class="quiet"
      title={say(THEME_TEXTS[theme])}
      aria-label={say(THEME_TEXTS[theme])}
      onClick={() => setTheme(next)}
    >
      <Icon name={theme} />
    </button>
  );
}
