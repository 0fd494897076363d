package dev.postern.sdk

import java.io.File
import java.util.Properties
import java.util.concurrent.TimeUnit
import java.util.zip.ZipFile
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import proguard.Configuration
import proguard.ConfigurationParser
import proguard.ProGuard

/** A release build of an app renames and removes what it thinks nobody uses. JNA is used by name, from native code. */
internal class ShrinkTest {
    @TempDir
    lateinit var folder: File

    private val classPath = System.getProperty("java.class.path").split(File.pathSeparator)

    private fun jar(name: String): String = classPath.single { File(it).name.startsWith(name) }

    private fun classes(name: String): String = classPath.single { it.replace(File.separatorChar, '/').endsWith("/target/$name") }

    private fun shrink(rules: List<String>): File {
        val result = folder.resolve("app.jar")
        val java = System.getProperty("java.home")
        val modules = listOf("java.base", "java.desktop", "java.logging", "java.instrument", "java.management", "jdk.unsupported", "java.net.http")
        val lines = listOf(
            "-injars ${classes("classes")}",
            "-injars ${classes("test-classes")}(dev/postern/sdk/ShrunkApp*.class,dev/postern/sdk/Fake*.class,dev/postern/sdk/MapVault*.class)",
            "-injars ${jar("kotlin-stdlib-2")}(!META-INF/versions/**)",
            "-injars ${jar("kotlinx-coroutines-core-jvm")}(!META-INF/versions/**)",
            "-injars ${jar("jna-")}(!META-INF/versions/**,!META-INF/maven/**)",
            "-outjars $result",
        ) + modules.map { "-libraryjars $java/jmods/$it.jmod(!**.jar;!module-info.class)" } + rules + listOf(
            "-keep class dev.postern.sdk.ShrunkApp { public static void main(java.lang.String[]); }",
            // As the coroutines' own jar says to R8.
            "-keepclassmembers class kotlinx.coroutines.** { volatile <fields>; }",
            "-dontwarn **",
            "-dontnote **",
            "-ignorewarnings",
            "-optimizations !class/merging/*,!class/unboxing/*,!method/specialization/*",
        )
        val configuration = Configuration()
        ConfigurationParser(lines.joinToString("\n"), "the test's rules", folder, Properties()).use { it.parse(configuration) }
        ProGuard(configuration).execute()
        return result
    }

    private fun run(jar: File): Pair<Int, String> {
        val output = folder.resolve("output.txt")
        val java = File(System.getProperty("java.home"), "bin/java").path
        val process = ProcessBuilder(java, "-Djna.library.path=${System.getProperty("jna.library.path")}", "-cp", jar.path, "dev.postern.sdk.ShrunkApp")
            .redirectErrorStream(true).redirectOutput(output).start()
        assertTrue(process.waitFor(60, TimeUnit.SECONDS), "it did not end")
        return process.exitValue() to output.readText()
    }

    @Test
    fun `an app that was shrunk and obfuscated with the shipped rules logs in`() {
        val shipped = File(classes("classes"), "META-INF/proguard/postern-sdk.pro")
        val jar = shrink(listOf("-include ${shipped.path}"))
        ZipFile(jar).use { zip ->
            val names = zip.entries().toList().map { it.name }
            assertFalse("dev/postern/sdk/Postern.class" in names, "it was obfuscated")
            assertTrue("com/sun/jna/Native.class" in names)
        }
        assertEquals(0 to "logged in as UNSIGNED\n", run(jar))
    }

    @Test
    fun `without the shipped rules it does not, so they are needed`() {
        val (code, output) = run(shrink(listOf("-keepattributes Signature")))
        assertFalse(code == 0 && "logged in" in output, output)
    }
}

/** A release build's app. */
internal object ShrunkApp {
    @JvmStatic
    fun main(arguments: Array<String>) {
        Postern.create(FakeCenter.config(), MapVault(), transport = FakeCenter()).use { postern ->
            val login = postern.login()
            login.finish()
            println("logged in as " + (login.state as LoginState.LoggedIn).account.identification)
        }
    }
}
