from __future__ import annotations
import time, bpy, numpy as np, pytest
from mannequin_sample import sample_arrays
def test_time(module, monkeypatch, tmp_path, scene):
    p = tmp_path/"m.npz"
    np.savez_compressed(p, **sample_arrays(80, 34))
    monkeypatch.setattr(module("mannequin"), "ASSET", p)
    for _ in range(3):
        t=time.perf_counter(); bpy.ops.uvmap_id.add_mannequin(); t1=time.perf_counter()-t
        bpy.context.view_layer.update(); print("add", t1, time.perf_counter()-t, len(scene.uvmap_id.body.data.vertices))
    import cProfile, pstats
    pr=cProfile.Profile(); pr.runcall(module("mannequin").add, scene); pstats.Stats(pr).sort_stats("cumtime").print_stats(16)
    b=scene.uvmap_id.body
    for n in ("age","weight","african"):
        t=time.perf_counter(); setattr(b.uvmap_id_shape,n,.7); t1=time.perf_counter()-t; bpy.context.view_layer.update(); print(n,t1,time.perf_counter()-t, getattr(b.uvmap_id_shape,n))
    assert 0
