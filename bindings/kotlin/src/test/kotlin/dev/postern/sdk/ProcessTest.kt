package dev.postern.sdk

import java.io.File
import java.util.concurrent.TimeUnit
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

/** What only a JVM of its own can show. */
internal class ProcessTest {
    @Test
    fun `a process that never closes the SDK ends by itself`() {
        val ended = jvm("dev.postern.sdk.ForgetfulApp", System.getProperty("jna.library.path"))
        assertEquals("ready\n", ended.output)
        assertEquals(0, ended.code)
    }

    @Test
    fun `a missing library is said in one exception that is the SDK's own`() {
        val ended = jvm("dev.postern.sdk.ForgetfulApp", "/nowhere")
        assertTrue("LibraryUnusable" in ended.output, ended.output)
        assertEquals(3, ended.code)
    }

    private class Ended(val code: Int, val output: String)

    private fun jvm(main: String, libraries: String): Ended {
        val java = File(System.getProperty("java.home"), "bin/java").path
        val output = File.createTempFile("postern", ".txt")
        try {
            val builder = ProcessBuilder(java, "-Djna.library.path=$libraries", "-cp", System.getProperty("java.class.path"), main)
            // Cargo names its own folder here for what it starts.
            builder.environment().remove("LD_LIBRARY_PATH")
            val process = builder.redirectErrorStream(true).redirectOutput(output).start()
            val over = process.waitFor(60, TimeUnit.SECONDS)
            if (!over) process.destroyForcibly()
            assertTrue(over, "it did not end by itself: ${output.readText()}")
            return Ended(process.exitValue(), output.readText())
        } finally {
            output.delete()
        }
    }
}

/** An app that uses the SDK and forgets to close it. */
internal object ForgetfulApp {
    @JvmStatic
    fun main(arguments: Array<String>) {
        val postern = try {
            Postern.create(FakeCenter.config(), MapVault(), transport = FakeCenter())
        } catch (missing: SetupException) {
            println(missing)
            System.exit(3)
            return
        }
        waiting { postern.login().await<LoginState.Ready>().step.choose(Provider.WECHAT) }
        postern.login().await<LoginState.Authorizing>()
        println("ready")
    }
}
