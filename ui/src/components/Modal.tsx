// A dialog of the browser's own: what is behind it can't be reached, Tab stays in it, Esc closes it, and the focus goes back after.

import { type JSX, onCleanup, onMount } from "solid-js";

export function Modal(props: { label: string; class?: string; onClose: () => void; children: JSX.Element }) {
  let dialog!: HTMLDialogElement;
  onMount(() => {
    const before = document.activeElement;
    dialog.showModal();
    dialog.querySelector<HTMLElement>("[data-first]")?.focus();
    onCleanup(() => {
      dialog.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    });
  });
  return (
    <dialog
      ref={dialog}
      class={props.class}
      aria-label={props.label}
      onCancel={(event) => {
        event.preventDefault();
        props.onClose();
      }}
      onClick={(event) => {
        if (event.target === dialog && !dialog.classList.contains("firm")) props.onClose();
      }}
    >
      <div class="dialog-in">{props.children}</div>
    </dialog>
  );
}
