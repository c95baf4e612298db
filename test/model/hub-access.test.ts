import { readdirSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { resolveModel } from '../../lib/model/hub';
import { hubCacheDirectory, isOffline, storedToken } from '../../lib/model/hub-cache';
import { HubClient } from '../../lib/model/hub-client';
import { cache, error, hub } from './hub-setup';
import { folder } from './tiny-model';

describe('access', () => {
  test('to a model that does not exist, or a revision, is refused by name', async () => {
    expect(await error(resolveModel('acme/none'))).toMatchObject({
      code: 'ERR_HUB_NOT_FOUND',
      message: expect.stringMatching(/acme\/none\/revision\/main was not found \(RepoNotFound\)/),
    });
    expect(await error(resolveModel('acme/tiny', { revision: 'v9' }))).toMatchObject({
      code: 'ERR_HUB_NOT_FOUND',
      message: expect.stringContaining('RevisionNotFound'),
    });
  });

  test('to a gated model says where to ask for it', async () => {
    hub.gated = true;
    expect(await error(resolveModel('acme/tiny', { token: 'hf_secret' }))).toMatchObject({
      code: 'ERR_HUB_ACCESS',
      message: expect.stringMatching(/refused with 403 \(GatedRepo\); ask for access/),
    });
  });

  test('with a token that no header may have is refused without repeating it', async () => {
    const reason = await error(resolveModel('acme/tiny', { token: 'hf_secret\nx' }));
    expect(reason).toMatchObject({ code: 'ERR_HUB_ACCESS', message: expect.stringContaining('the token for the hub') });
    expect(String(reason)).not.toContain('hf_secret');
  });

  test('to a private model needs the token, which no message repeats', async () => {
    hub.token = 'hf_right';
    expect(await error(resolveModel('acme/tiny'))).toMatchObject({
      code: 'ERR_HUB_ACCESS',
      message: expect.stringContaining('set HF_TOKEN'),
    });
    const reason = await error(resolveModel('acme/tiny', { token: 'hf_wrong' }));
    expect(reason).toMatchObject({
      code: 'ERR_HUB_ACCESS',
      message: expect.stringContaining('the token may not read it'),
    });
    expect(JSON.stringify(reason) + String((reason as Error).stack)).not.toContain('hf_wrong');
    expect(await resolveModel('acme/tiny', { token: 'hf_right' })).toContain(hub.commit);
  });

  test.each([
    ['HF_TOKEN', () => vi.stubEnv('HF_TOKEN', 'hf_right')],
    ['the file that the login wrote', () => writeFileSync(join(process.env.HF_HOME!, 'token'), 'hf_right\n')],
  ])('takes the token from %s', async (_, store) => {
    hub.token = 'hf_right';
    store();
    expect(await resolveModel('acme/tiny')).toContain(hub.commit);
  });

  test('sends the token to the hub alone, not to the origin that it redirects to', async () => {
    hub.token = 'hf_right';
    await resolveModel('acme/tiny', { token: 'hf_right' });
    for (const { server, authorization } of hub.seen) {
      expect(authorization).toBe(server === 'hub' ? 'Bearer hf_right' : undefined);
    }
    expect(hub.seen.some(({ server }) => server === 'cdn')).toBe(true);
  });

  test('to a hub that is down is tried five times', async () => {
    hub.status = 503;
    const client = new HubClient(hub.endpoint, undefined, undefined, [1, 1, 1, 1]);
    expect(await error(client.retry(() => client.fetch(`${hub.endpoint}/api/models`)))).toMatchObject({
      code: 'ERR_HUB_BUSY',
      message: expect.stringContaining('answered with 503'),
    });
    expect(hub.seen).toHaveLength(5);
  });
});

describe('a hub that lies', () => {
  test('about paths writes nothing outside the cache', async () => {
    hub.tamper = (entries) => {
      for (const path of ['../../../config.json', '/tmp/config.json', '0_a/../../config.json']) {
        entries.push({ ...entries[2], path });
      }
    };
    const directory = await resolveModel('acme/tiny');
    expect(readdirSync(directory, { recursive: true })).toHaveLength(4);
    expect(readdirSync(cache).sort()).toEqual(['.locks', 'models--acme--tiny']);
  });

  test.each([
    ['hash', { oid: '../../../x' }],
    ['missing hash', { oid: undefined }],
    ['size', { size: -1 }],
  ])('about a %s is refused', async (_, change) => {
    hub.tamper = (entries) => Object.assign(entries.find(({ path }) => path === 'config.json')!, change);
    expect(await error(resolveModel('acme/tiny'))).toMatchObject({ code: 'ERR_HUB_RESPONSE' });
  });

  test('about its commit is refused', async () => {
    hub.commit = 'main';
    expect(await error(resolveModel('acme/tiny'))).toMatchObject({ code: 'ERR_HUB_RESPONSE' });
  });

  test('in its address is refused', async () => {
    vi.stubEnv('HF_ENDPOINT', 'huggingface');
    expect(await error(resolveModel('acme/tiny'))).toMatchObject({ code: 'ERR_HUB_ENDPOINT' });
  });
});

test('the environment decides cache, token and network as in huggingface_hub', async () => {
  expect(hubCacheDirectory({})).toBe(join(homedir(), '.cache/huggingface/hub'));
  expect(hubCacheDirectory({ XDG_CACHE_HOME: '/x' })).toBe('/x/huggingface/hub');
  expect(hubCacheDirectory({ XDG_CACHE_HOME: '/x', HF_HOME: '~/h' })).toBe(join(homedir(), 'h/hub'));
  expect(hubCacheDirectory({ HF_HOME: '/h', HUGGINGFACE_HUB_CACHE: '/old' })).toBe('/old');
  expect(hubCacheDirectory({ HF_HOME: '/h', HUGGINGFACE_HUB_CACHE: '/old', HF_HUB_CACHE: '/c' })).toBe('/c');
  const directory = folder({ token: 'hf_stored\n', other: 'hf_other' });
  expect(await storedToken({ HF_HOME: directory })).toBe('hf_stored');
  expect(await storedToken({ HF_HOME: directory, HF_TOKEN_PATH: join(directory, 'other') })).toBe('hf_other');
  expect(await storedToken({ HF_HOME: directory, HF_TOKEN: 'hf_given' })).toBe('hf_given');
  expect(await storedToken({ HF_HOME: join(directory, 'none') })).toBeUndefined();
  expect(['1', 'true', 'Yes', 'ON'].map((value) => isOffline({ HF_HUB_OFFLINE: value }))).toEqual([
    true,
    true,
    true,
    true,
  ]);
  expect(isOffline({ HF_HUB_OFFLINE: '0' })).toBe(false);
  expect(isOffline({})).toBe(false);
});
