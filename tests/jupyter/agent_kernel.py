"""Jupyter's suite for any kernel, told that ours does all that ipykernel does and welcomes on iopub."""

from jupyter_kernel_test import IopubWelcomeTests
from test_ipykernel import IPyKernelTests


class AgentKernelTests(IPyKernelTests):
    pass


class AgentKernelWelcomeTests(IopubWelcomeTests):
    support_iopub_welcome = True


del IopubWelcomeTests, IPyKernelTests  # what is imported would run as well
