"""Bodies from 2D keypoints of your own: no photo and no detector, only regression and fitting."""

import torch

import fitloop

# COCO's 17 keypoints of one standing person: x, y in pixels of a photo 640 wide and 480 high.
KEYPOINTS = torch.tensor(
    [
        *[[320.0, 98.0], [326.0, 92.0], [314.0, 92.0], [334.0, 96.0], [306.0, 96.0]],
        *[[350.0, 142.0], [290.0, 142.0], [366.0, 196.0], [274.0, 196.0], [372.0, 246.0], [268.0, 246.0]],
        *[[338.0, 250.0], [302.0, 250.0], [340.0, 330.0], [300.0, 330.0], [342.0, 406.0], [298.0, 406.0]],
    ]
)
body = fitloop.load_body()
camera = fitloop.Camera(torch.tensor([800.0]), torch.tensor([[320.0, 240.0]]))
seen = fitloop.Detections(
    keypoints=KEYPOINTS[None],
    confidence=torch.ones(1, 17),
    boxes=torch.tensor([[260.0, 80.0, 380.0, 420.0]]),
    convention="coco17",
)

guess = fitloop.load_regressor("keypoints", body)(None, seen, camera)
found = fitloop.fit(body, seen, guess)
print(f"{int(found.steps[0])} steps, energy {float(found.energy[0]):.2f}, converged: {bool(found.converged[0])}")
