-- What a connector keeps between its request and the answer (OpenID Connect: nonce and PKCE verifier), encrypted. NULL where there is nothing to keep.
ALTER TABLE provider_requests ADD COLUMN sealed_state TEXT;
