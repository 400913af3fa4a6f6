// A Chromium that plays without a gesture; more are arguments of its own, quic
// lets it speak HTTP/3.
import { chromium } from 'playwright-core';

export function launch(more = [], quic = false) {
  return chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--headless', '--no-sandbox', '--disable-gpu', quic ? '--enable-quic' : '--disable-quic', '--no-first-run', '--mute-audio',
      '--disable-background-networking', '--disable-component-update', '--disable-sync',
      '--autoplay-policy=no-user-gesture-required', ...more],
  });
}
