package dev.postern.sdk

import dev.postern.sdk.ffi.PosternConfig as FfiConfig

/**
 * What an app says once. Nothing in it is secret.
 *
 * @property accountCenter the account center's public URL: `https`, or `http` to the device itself
 * @property appId the app's id at the account center
 * @property rootKey the offline root's public key: uncompressed SEC1 point on P-256, base64url
 * @property issuer how the account center calls itself in its key list; by default [accountCenter]
 * @property apiOrigins origins (`https://api.bank.example`) whose requests get the session's headers, besides the account center
 * @property region the person's region, for the staged release (L12)
 * @property appVersion the app's version, for the staged release (L12)
 * @property dataDir a folder of this app alone, excluded from backups: install id, and the lock between processes
 * @property tlsPins public keys (`sha256/…`) of which the account center's certificate must have one, until a signed key list says others
 * @property proxy an HTTP proxy; the environment's proxies are not used
 * @property connectTimeoutSeconds until a connection stands
 * @property totalTimeoutSeconds until a whole reply is there
 */
public class PosternConfig @JvmOverloads constructor(
    public val accountCenter: String,
    public val appId: String,
    public val rootKey: String,
    public val issuer: String? = null,
    public val apiOrigins: List<String> = emptyList(),
    public val region: String? = null,
    public val appVersion: String? = null,
    public val dataDir: String? = null,
    public val tlsPins: List<String> = emptyList(),
    public val proxy: String? = null,
    public val connectTimeoutSeconds: Int = 10,
    public val totalTimeoutSeconds: Int = 20,
) {
    override fun toString(): String = "PosternConfig(accountCenter=$accountCenter, appId=$appId)"

    internal fun toFfi(): FfiConfig {
        fun seconds(value: Int, name: String): UInt {
            if (value <= 0) throw SetupException.ConfigInvalid("the configuration is wrong: $name must be more than 0")
            return value.toUInt()
        }
        return FfiConfig(
            accountCenter = accountCenter,
            appId = appId,
            rootKey = rootKey,
            issuer = issuer,
            apiOrigins = apiOrigins,
            region = region,
            appVersion = appVersion,
            dataDir = dataDir,
            tlsPins = tlsPins,
            proxy = proxy,
            connectTimeout = seconds(connectTimeoutSeconds, "connectTimeoutSeconds"),
            totalTimeout = seconds(totalTimeoutSeconds, "totalTimeoutSeconds"),
        )
    }
}
