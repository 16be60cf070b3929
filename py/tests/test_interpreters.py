"""The module belongs to the main interpreter of a process, and tells the others so."""

from __future__ import annotations

from support import child, succeed

PRELUDE = """
    import asyncio, gc, sys, textwrap
    try:
        import _xxsubinterpreters as interpreters
    except ImportError:
        try:
            import _interpreters as interpreters
        except ImportError:
            print("none")
            sys.exit()

    IMPORT = textwrap.dedent('''
        try:
            import aiofile
        except ImportError as error:
            import sys
            assert "interpreter" in str(error), error
            assert "aiofile._native" not in sys.modules
        else:
            raise AssertionError("imported")
    ''')

    def import_in_another():
        other = interpreters.create()
        failure = interpreters.run_string(other, IMPORT)
        assert failure is None, failure
        interpreters.destroy(other)
        gc.collect()

    def use():
        import aiofile
        async def main():
            async with aiofile.open(sys.argv[1], "w+b") as file:
                await file.write(b"x" * 300_000)
                await file.seek(0)
                return len(await file.read())
        assert asyncio.run(main()) == 300_000
"""


def test_other_interpreters_are_refused_and_the_main_one_goes_on(tmp_path: object) -> None:
    program = """
    for _ in range(3):
        import_in_another()
    use()
    for _ in range(3):
        import_in_another()
        use()
    print("done")
    """
    assert succeed(child(PRELUDE + program, f"{tmp_path}/f")) in {"done\n", "none\n"}
