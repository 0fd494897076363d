package dev.postern.sdk

import com.sun.jna.NativeLibrary
import java.io.File
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

/** What the generated code would ask at every start of every app is asked here, once: is the library the one that it was generated from? */
internal class ChecksumTest {
    @Test
    fun `every function of the library is the one that the code was generated for`() {
        val library = NativeLibrary.getInstance("postern")
        val checksums = File("target/generated-sources/uniffi/api-checksums.txt").readLines().map { it.split('=') }
        assertTrue(checksums.size > 50, "found ${checksums.size}")
        for ((function, value) in checksums) {
            assertEquals(value.toInt(), library.getFunction(function).invokeInt(emptyArray()) and 0xFFFF, function)
        }
    }
}
