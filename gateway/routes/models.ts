import type { Route } from '#gateway/http/route.ts';
import { unknownModel } from '#gateway/routing/router.ts';
import { modalitiesOf } from '#mesh/modality.ts';
import type { GetModelResponse } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import type { RouteContext } from './route-context.ts';

function modelObject({ name, model }: { readonly name: string; readonly model: GetModelResponse }) {
  return {
    id: name,
    object: 'model',
    created: Number(model.createdS),
    owned_by: 'autoglm-mesh',
    root: model.modelId,
    parent: null,
    max_model_len: model.maxModelLen,
    architecture: {
      input_modalities: ['text', ...modalitiesOf(model)],
      output_modalities: ['text'],
    },
  };
}

/** Returns the route `GET /v1/models`. */
export function modelsRoute({ router }: RouteContext): Route {
  return {
    method: 'GET',
    path: '/v1/models',
    handle: async () => ({ object: 'list', data: router.models().map(modelObject) }),
  };
}

/** Returns the route `GET /v1/models/{id}`; an id may contain slashes. */
export function modelRoute({ router }: RouteContext): Route {
  return {
    method: 'GET',
    path: '/v1/models/*',
    handle: async (request) => {
      const id = decodeURIComponent(new URL(request.url, 'http://gateway').pathname.slice(11));
      const models = router.models();
      const found = models.find(({ name }) => name === id);
      if (found !== undefined) return modelObject(found);
      throw unknownModel(
        id,
        models.map(({ name }) => name),
      );
    },
  };
}
