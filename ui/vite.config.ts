import { defineConfig } from "vite";
import solid from "vite-plugin-solid";

// The same sources must give the same bytes everywhere: file names come from contents only, nothing of the place or the time gets in.
export default defineConfig({
  plugins: [solid()],
  build: {
    target: "es2022",
    outDir: "dist",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    sourcemap: false,
    // What others wrote and is in the built files, with their licences.
    license: { fileName: "licences.txt" },
    chunkSizeWarningLimit: 700,
  },
  server: { proxy: { "/api": { target: "http://127.0.0.1:4180", ws: true }, "/files": "http://127.0.0.1:4180" } },
  test: { include: ["tests/**/*.test.ts"], environment: "node" },
} as Parameters<typeof defineConfig>[0]);
