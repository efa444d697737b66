"""blindroute chooses which LLM should answer a prompt, and no server sees the prompt.

>>> import blindroute
>>> with blindroute.PrivateRouter.in_process() as router:
...     route = router.route("Prove that the square root of 2 is irrational.")
>>> route.model in [model.name for model in blindroute.Bundle.load().models]
True

A `PrivateRouter` routes prompts and classifies texts; a `Bundle` is what it routes with: an encoder, a pool of models, and routers. How
the router is made decides who runs the servers:

| made by | dealer and servers are | use it for |
|---|---|---|
| `PrivateRouter.local` | not needed: all runs here in the clear | public routers |
| `PrivateRouter.in_process` | threads of this process | trying it out, tests |
| `PrivateRouter.connect` | elsewhere, run by other operators | privacy |
"""

from blindroute import export
from blindroute._bundle import Bundle, Model
from blindroute._data import DataSet
from blindroute._engine import VERSION as __version__
from blindroute._engine import log
from blindroute._errors import (
    BlindrouteError,
    BundleError,
    CancelledError,
    ForkedError,
    InputError,
    RouteTimeoutError,
    ServersError,
)
from blindroute._evaluation import Calibration, Curve, Estimate, Evaluation, calibrate, evaluate
from blindroute._gateway import Gateway, gateway
from blindroute._reports import Label, RankedModel, Route
from blindroute._router import PrivateRouter
from blindroute._training import Trained, train_cscr, train_direct, train_uniroute

__all__ = [
    "BlindrouteError",
    "Bundle",
    "BundleError",
    "Calibration",
    "CancelledError",
    "Curve",
    "DataSet",
    "Estimate",
    "Evaluation",
    "ForkedError",
    "Gateway",
    "InputError",
    "Label",
    "Model",
    "PrivateRouter",
    "RankedModel",
    "Route",
    "RouteTimeoutError",
    "ServersError",
    "Trained",
    "__version__",
    "calibrate",
    "evaluate",
    "export",
    "gateway",
    "log",
    "train_cscr",
    "train_direct",
    "train_uniroute",
]
