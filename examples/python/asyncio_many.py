"""Many routes at once: a batch whose prompts share sessions, and single prompts beside each other."""

import asyncio

import blindroute

PROMPTS = [
    "What is the capital of France?",
    "Prove that there are infinitely many primes.",
    "Write a function that merges two sorted lists.",
    "Translate 'good morning' into Spanish.",
]


async def main() -> None:
    """Prints the model of each prompt, asked for in two ways."""
    async with blindroute.PrivateRouter.in_process() as router:
        # Prompts of one bucket share a session, up to `batch` of them; a prompt that fails is an error in its place.
        for prompt, route in zip(PROMPTS, await router.aroute_many(PROMPTS, errors="return"), strict=True):
            print(f"{prompt:50} {route.code if isinstance(route, blindroute.BlindrouteError) else route.model}")

        # Prompts that arrive on their own have a session each. A server accepts a limited number of sessions at a time.
        places = asyncio.Semaphore(2)

        async def ask(prompt: str) -> str:
            async with places:
                return (await router.aroute(prompt, timeout=60)).model

        print(await asyncio.gather(*map(ask, PROMPTS)))


if __name__ == "__main__":
    asyncio.run(main())
