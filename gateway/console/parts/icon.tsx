/** Line drawings on a grid of 24; each is one path. */
const PATHS = {
  chat: 'M4 5h16v11H9l-5 4z',
  mesh: 'M5 9a2.5 2.5 0 1 0 0 5a2.5 2.5 0 1 0 0-5M19 3a2.5 2.5 0 1 0 0 5a2.5 2.5 0 1 0 0-5M19 16a2.5 2.5 0 1 0 0 5a2.5 2.5 0 1 0 0-5M7.3 10.4l9.4-3.9M7.3 12.6l9.4 4.9',
  requests: 'M4 6h9M8 12h10M12 18h8',
  auto: 'M12 4a8 8 0 1 0 0 16zM12 4a8 8 0 1 1 0 16',
  light:
    'M12 8a4 4 0 1 0 0 8a4 4 0 1 0 0-8M12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.4 1.4M17.6 17.6L19 19M5 19l1.4-1.4M17.6 6.4L19 5',
  dark: 'M20 14.5A8.5 8.5 0 0 1 9.5 4A8.5 8.5 0 1 0 20 14.5',
  key: 'M8 8.5a4 4 0 1 0 0 8a4 4 0 1 0 0-8M12 12.5h9M18 12.5v3.5M15 12.5v2.5',
  attach: 'M4 5h16v14H4zM4 16l5-5l4 4l2.5-2.5L20 17M15.5 8.5v.01',
  microphone: 'M12 3a3 3 0 0 0-3 3v5a3 3 0 0 0 6 0V6a3 3 0 0 0-3-3M6 11a6 6 0 0 0 12 0M12 17v4',
  send: 'M12 19V5M6 11l6-6l6 6',
  stop: 'M7 7h10v10H7z',
  close: 'M6 6l12 12M18 6L6 18',
  plus: 'M12 5v14M5 12h14',
  history: 'M4.5 8A8.5 8.5 0 1 1 3.5 12M3.5 4v4.5H8M12 8v4.5l3 1.8',
  options: 'M4 7h9M17 7h3M4 17h3M11 17h9M15 5v4M9 15v4',
  copy: 'M8 8h11v12H8zM16 8V4H5v12h3',
  check: 'M5 13l4.5 4.5L19 7',
  trash: 'M5 7h14M10 7V4.5h4V7M7 7l1 13h8l1-13',
  repeat: 'M19.5 8A8.5 8.5 0 1 0 20.5 12M20.5 4v4.5H16',
  play: 'M8 5l11 7l-11 7z',
  chevron: 'M9 6l6 6l-6 6',
  image: 'M4 5h16v14H4zM4 16l5-5l4 4l2.5-2.5L20 17',
} as const;

export type IconName = keyof typeof PATHS;

/** A drawing beside a text, or inside a button that has a name of its own. */
export function Icon({ name }: { readonly name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}
