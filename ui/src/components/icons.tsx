// Drawn here, so that nothing is fetched and colours follow the text.

import type { JSX } from "solid-js";

// A drawing is made anew for each place it stands in: an element can be in one place only.
const icon = (drawing: () => JSX.Element) => (props: { size?: number }) => (
  <svg
    width={props.size ?? 16}
    height={props.size ?? 16}
    viewBox="0 0 16 16"
    fill="none"
    stroke="currentColor"
    stroke-width="1.5"
    stroke-linecap="round"
    stroke-linejoin="round"
    aria-hidden="true"
  >
    {drawing()}
  </svg>
);

export const Logo = (props: { size?: number }) => (
  <svg width={props.size ?? 22} height={props.size ?? 22} viewBox="0 0 32 32" aria-hidden="true">
    <rect width="32" height="32" rx="8" fill="var(--accent)" />
    <path d="M9 8h14M9 8v16M9 16h9" fill="none" stroke="var(--on-accent)" stroke-width="3.4" stroke-linecap="round" />
    <circle cx="22" cy="22" r="3.4" fill="var(--on-accent)" />
  </svg>
);
export const Lock = icon(() => (
  <>
    <rect x="3.5" y="7" width="9" height="6.5" rx="1.5" />
    <path d="M5.5 7V5a2.5 2.5 0 0 1 5 0v2" />
  </>
));
export const Search = icon(() => (
  <>
    <circle cx="7" cy="7" r="4.25" />
    <path d="m10.5 10.5 3 3" />
  </>
));
export const Clock = icon(() => (
  <>
    <circle cx="8" cy="8" r="5.75" />
    <path d="M8 4.75V8l2.25 1.5" />
  </>
));
export const Split = icon(() => (
  <>
    <rect x="2.25" y="3" width="11.5" height="10" rx="1.5" />
    <path d="M8 3v10" />
  </>
));
export const Close = icon(() => <path d="m4 4 8 8M12 4l-8 8" />);
export const Right = icon(() => <path d="m6 4 4 4-4 4" />);
export const Down = icon(() => <path d="m4 6 4 4 4-4" />);
export const Up = icon(() => <path d="m4 10 4-4 4 4" />);
export const Plus = icon(() => <path d="M8 3.5v9M3.5 8h9" />);
export const Sun = icon(() => (
  <>
    <circle cx="8" cy="8" r="3" />
    <path d="M8 1.5v1M8 13.5v1M1.5 8h1M13.5 8h1M3.4 3.4l.7.7M11.9 11.9l.7.7M3.4 12.6l.7-.7M11.9 4.1l.7-.7" />
  </>
));
export const Moon = icon(() => <path d="M13 9.5A5.5 5.5 0 0 1 6.5 3a5.5 5.5 0 1 0 6.5 6.5Z" />);
export const Auto = icon(() => (
  <>
    <circle cx="8" cy="8" r="5.75" />
    <path d="M8 2.25v11.5A5.75 5.75 0 0 0 8 2.25Z" fill="currentColor" />
  </>
));
export const Help = icon(() => (
  <>
    <circle cx="8" cy="8" r="5.75" />
    <path d="M6.4 6.2a1.7 1.7 0 1 1 2.4 1.6c-.5.3-.8.6-.8 1.2M8 11.2v.05" />
  </>
));
export const Menu = icon(() => <path d="M2.5 4.5h11M2.5 8h11M2.5 11.5h11" />);
export const File = icon(() => (
  <>
    <path d="M9 2H4.5A1 1 0 0 0 3.5 3v10a1 1 0 0 0 1 1h7a1 1 0 0 0 1-1V5.5Z" />
    <path d="M9 2v3.5h3.5" />
  </>
));
export const Folder = icon(() => <path d="M2.25 4.5a1 1 0 0 1 1-1h3l1.5 1.75h5a1 1 0 0 1 1 1V12a1 1 0 0 1-1 1h-9.5a1 1 0 0 1-1-1Z" />);
export const Warn = icon(() => (
  <>
    <path d="M8 2.5 14 13H2Z" />
    <path d="M8 6.5v3M8 11.25v.05" />
  </>
));
export const Check = icon(() => <path d="m3.5 8.5 3 3 6-7" />);
export const List = icon(() => <path d="M5.5 4.5h8M5.5 8h8M5.5 11.5h8M2.5 4.5h.05M2.5 8h.05M2.5 11.5h.05" />);
export const Draft = icon(() => <path d="m10.5 3 2.5 2.5L6 12.5l-3 .5.5-3Z" />);
export const Fork = icon(() => (
  <>
    <circle cx="4.5" cy="3.75" r="1.5" />
    <circle cx="11.5" cy="3.75" r="1.5" />
    <circle cx="8" cy="12.25" r="1.5" />
    <path d="M4.5 5.25c0 3 3.5 2 3.5 5.5 0-3.5 3.5-2.5 3.5-5.5" />
  </>
));
