#!/usr/bin/env node
// Starts `oidc-provider`, a certified OpenID server that others wrote, on a free loopback port.
//
//   node server.mjs ['{"accessTokenTtl": 3}']
//
// The first and only line on stdout is {"issuer": …, "port": …}; log lines go to stderr. The server
// ends when its stdin closes, so that it never outlives the test which started it. Nobody has to
// click: every login is that of `login_hint`, and it is consented to at once.
//
// A test steers it with the settings of `defaults` below, with `login_hint=denied@example.test`
// (the person says no), and reads from `GET /requests` how often each path was asked for.

import { createServer } from 'node:http';
import { generateKeyPairSync, randomBytes } from 'node:crypto';

const defaults = {
  accessTokenTtl: 3600, // seconds
  rotateRefreshToken: true, // a used refresh token that comes again ends the whole grant
  emailInIdToken: false, // false: the address is told by the userinfo endpoint only
  rejectedScopes: [], // scopes that the person unticks on the consent page
  clients: [], // added to those of `clients()`
};
const anybody = 'alice@example.test';
const nobody = 'denied@example.test';

const settings = { ...defaults, ...JSON.parse(process.argv[2] ?? '{}') };
const requests = {};

// The library writes its notices with `console.info`, and stdout belongs to the one line.
console.info = console.error;
const { default: Provider } = await import('oidc-provider');

const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address();
  const issuer = `http://127.0.0.1:${port}`;
  const provider = new Provider(issuer, configuration());
  server.on('request', (req, res) => answer(provider, req, res));
  process.stdout.write(`${JSON.stringify({ issuer, port })}\n`);
});
process.stdin.on('end', () => process.exit(0)).resume();

async function answer(provider, req, res) {
  const path = req.url.split('?')[0];
  if (path === '/requests') {
    return json(res, 200, requests);
  }
  requests[path] = (requests[path] ?? 0) + 1;
  if (!path.startsWith('/interaction/')) {
    return provider.callback()(req, res);
  }
  try {
    await interact(provider, req, res);
  } catch (error) {
    json(res, 500, { error: String(error) });
  }
}

// Does what a person does on the login page, then on the consent page.
async function interact(provider, req, res) {
  const { prompt, params, session, grantId } = await provider.interactionDetails(req, res);
  const finish = (result) =>
    provider.interactionFinished(req, res, result, { mergeWithLastSubmission: true });

  if (params.login_hint === nobody) {
    return finish({ error: 'access_denied', error_description: 'the person said no' });
  }
  if (prompt.name === 'login') {
    return finish({ login: { accountId: accountId(params.login_hint ?? anybody) } });
  }
  const grant =
    (grantId && (await provider.Grant.find(grantId))) ??
    new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  consent(grant, params, prompt.details);
  return finish({ consent: { grantId: await grant.save() } });
}

function consent(grant, params, details) {
  const asked = (params.scope ?? '').split(' ');
  grant.addOIDCScope(asked.filter((scope) => !settings.rejectedScopes.includes(scope)).join(' '));
  grant.rejectOIDCScope(asked.filter((scope) => settings.rejectedScopes.includes(scope)).join(' '));
  grant.addOIDCClaims(details.missingOIDCClaims ?? []);
}

function configuration() {
  return {
    clients: clients(),
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
    conformIdTokenClaims: !settings.emailInIdToken,
    scopes: ['openid', 'offline_access', 'email', 'profile'],
    pkce: { required: () => true },
    rotateRefreshToken: settings.rotateRefreshToken,
    ttl: { AccessToken: settings.accessTokenTtl, Session: 3600, Interaction: 3600, Grant: 86400 },
    features: {
      devInteractions: { enabled: false },
      revocation: { enabled: true },
      introspection: { enabled: true },
      deviceFlow: { enabled: true },
    },
    interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
    findAccount: (_ctx, id) => ({ accountId: id, claims: () => claims(id) }),
    cookies: { keys: [randomBytes(32).toString('hex')] },
    jwks: { keys: [signingKey()] },
  };
}

function clients() {
  const native = {
    application_type: 'native',
    grant_types: [
      'authorization_code',
      'refresh_token',
      'urn:ietf:params:oauth:grant-type:device_code',
    ],
    response_types: ['code'],
    // RFC 8252, section 7.3: the port of a loopback address is not compared.
    redirect_uris: ['127.0.0.1', '[::1]', 'localhost'].flatMap((host) => [
      `http://${host}`,
      `http://${host}/`,
      `http://${host}/callback`,
    ]),
  };
  const secret = 'a client secret: with + and % & = signs';
  return [
    { ...native, client_id: 'public', token_endpoint_auth_method: 'none' },
    {
      ...native,
      client_id: 'basic',
      client_secret: 'basic-secret',
      token_endpoint_auth_method: 'client_secret_basic',
    },
    {
      ...native,
      client_id: 'post',
      client_secret: 'post-secret',
      token_endpoint_auth_method: 'client_secret_post',
    },
    {
      // RFC 6749, section 2.3.1: id and secret are form-encoded before they become Basic.
      ...native,
      client_id: 'odd:client',
      client_secret: secret,
      token_endpoint_auth_method: 'client_secret_basic',
    },
    ...settings.clients,
  ];
}

// An account is its address, so that the tests choose it with `login_hint`.
function accountId(email) {
  return `sub-${Buffer.from(email).toString('hex')}`;
}

function claims(id) {
  const email = Buffer.from(id.slice('sub-'.length), 'hex').toString();
  return { sub: id, email, email_verified: true, name: email.split('@')[0] };
}

function signingKey() {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...privateKey.export({ format: 'jwk' }), kid: 'test', use: 'sig', alg: 'RS256' };
}

function json(res, status, body) {
  const text = JSON.stringify(body);
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) };
  res.writeHead(status, headers).end(text);
}
