"""Which model should answer this prompt? All parties run in this process."""

import blindroute

with blindroute.PrivateRouter.in_process() as router:
    route = router.route("Prove that the square root of 2 is irrational.")
    print(route.model, route.price, route.price_unit)
