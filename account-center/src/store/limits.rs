//! `rate_buckets` and `used_credentials`.
