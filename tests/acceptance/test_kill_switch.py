"""An operator pulls the plug on an agent at work, over HTTP."""

import httpx2

SLEEP = "import time\nprint('working', flush=True)\ntime.sleep(600)"


async def test_an_operator_stops_an_agent_over_http_and_lets_it_go_on(service, over_http):
    world, _, url, _ = service
    agent = await over_http()
    operator = {"Authorization": f"Bearer {world.mint('ops', 'kernel.admin')}"}
    await agent.execute("kept = 1")
    call = await agent.begin(SLEEP)
    async with httpx2.AsyncClient(base_url=url, headers=operator) as http:
        switched = await http.put("/v1/switch", json={"execute": "off", "reason": "a drill"})
        assert (switched.status_code, switched.json()["execute"]) == (200, "off")
        stopped, _ = await call
        assert (stopped["status"], stopped["code"], stopped["stdout"]) == ("disabled", "disabled", "working\n")
        refused, content = await agent.execute("1")
        assert (refused["status"], refused["code"]) == ("disabled", "disabled")
        assert content[0].text == (
            "disabled: this service is switched off: a drill; an operator must switch it on again"
        )
        ready = await http.get("/readyz")
        assert (ready.status_code, ready.json()["ready"]) == (503, False)
        await http.put("/v1/switch", json={"execute": "on"})
        assert (await http.get("/readyz")).status_code == 200
    resumed, _ = await agent.execute("kept")
    assert (resumed["status"], resumed["result"], resumed["state"]["restored"]) == ("ok", "1", True)
