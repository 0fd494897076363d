package dev.postern.sdk

import java.lang.ref.WeakReference
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNotNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.BeforeEach
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.assertThrows

internal class LifetimeTest {
    private fun made(center: FakeCenter = FakeCenter()): Postern =
        Postern.create(FakeCenter.config(), BuiltInVault.Memory, transport = center)

    private fun nothingLives(): Boolean =
        Hooks.livingPosterns() == 0L && Hooks.livingLogins() == 0L && Hooks.livingSteps() == 0L

    @BeforeEach
    fun cleanStart(): Unit = eventuallyCollected("what other tests left is gone") { nothingLives() }

    @Test
    fun `an overtaken state frees its step at once, without the garbage collector`() {
        made().use { postern ->
            val login = postern.login()
            val old = mutableListOf<LoginState>()
            repeat(100) {
                waiting { login.await<LoginState.Ready>().also { old += it }.step.choose(Provider.WECHAT) }
                waiting { login.await<LoginState.Authorizing>().also { old += it }.step.cancel() }
            }
            login.await<LoginState.Ready>()
            eventually("one step lives, though ${old.size} states are held") { Hooks.livingSteps() == 1L }
        }
        assertTrue(nothingLives())
    }

    @Test
    fun `closing frees everything at once`() {
        val postern = made()
        postern.login().finish()
        postern.login().await<LoginState.Ready>()
        postern.close()
        eventually("nothing lives") { nothingLives() }
    }

    @Test
    fun `an SDK that nobody holds is collected, listener and all`() {
        fun leave(): WeakReference<Login> {
            val login = made().login()
            waiting { login.await<LoginState.Ready>().step.choose(Provider.WECHAT) }
            login.await<LoginState.Authorizing>()
            return WeakReference(login)
        }
        val login = leave()
        eventuallyCollected("it is gone without close()") { login.get() == null && nothingLives() }
    }

    @Test
    fun `a held step keeps neither the SDK nor its threads alive`() {
        val postern = made()
        val ready = postern.login().await<LoginState.Ready>()
        postern.close()
        eventually("nothing lives but the step's shell") { nothingLives() }
        assertThrows<StepException.Closed> { waiting { ready.step.choose(Provider.WECHAT) } }
    }

    @Test
    fun `a cycle through an observer lives until close and no longer`() {
        class Screen(val postern: Postern) : LoginObserver {
            val login = postern.login().also { it.observe(this) }

            override fun onState(state: LoginState) = Unit
        }

        fun leave(): WeakReference<Screen> {
            val screen = Screen(made())
            screen.login.await<LoginState.Ready>()
            return WeakReference(screen)
        }
        val screen = leave()
        repeat(5) {
            System.gc()
            Thread.sleep(20)
        }
        // Observer, SDK, native listener, observer: only close() breaks it.
        val held = assertNotNull(screen.get()).let { screen.get()!! }
        assertEquals(1L, Hooks.livingPosterns())
        held.postern.close()
        eventually("nothing lives") { nothingLives() }
    }

    @Test
    fun `a cycle that was closed is collected`() {
        class Screen(val postern: Postern) : LoginObserver {
            init {
                postern.login().observe(this)
            }

            override fun onState(state: LoginState) = Unit
        }

        fun leave(): WeakReference<Screen> = Screen(made()).also { it.postern.close() }.let { WeakReference(it) }
        val screen = leave()
        eventuallyCollected("the screen is gone") { screen.get() == null }
    }

    @Test
    fun `many SDKs one after the other leave no thread behind`() {
        fun threads(): Int = Thread.getAllStackTraces().keys.count { it.name.startsWith("postern") }
        repeat(20) { made().use { it.login().await<LoginState.Ready>() } }
        eventuallyCollected("their threads are gone") { threads() <= 2 }
    }

    @Test
    fun `states that arrive while the SDK is being closed are freed too`() {
        repeat(30) {
            val postern = made()
            val ready = postern.login().await<LoginState.Ready>()
            val choosing = Thread { runCatching { waiting { ready.step.choose(Provider.WECHAT) } } }
            choosing.start()
            Thread.sleep((it % 5).toLong())
            postern.close()
            choosing.join(10_000)
        }
        eventuallyCollected("nothing lives") { nothingLives() }
    }
}
